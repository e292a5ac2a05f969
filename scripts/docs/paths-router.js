/** A TypeDoc plugin: documents keep their own paths in the site, so that an address lives as long as its document. */
import { DocumentReflection, KindRouter } from "typedoc";

class PathsRouter extends KindRouter {
  getIdealBaseName(reflection) {
    const path = reflection instanceof DocumentReflection ? reflection.frontmatter.path : undefined;
    return typeof path === "string" ? path : super.getIdealBaseName(reflection);
  }
}

export function load({ renderer }) {
  renderer.defineRouter("paths", PathsRouter);
}
