/**
 * TypeDoc reads programs with the compiler's JavaScript API, which TypeScript 7 does not have. So, for this process
 * alone, `typescript` is the devDependency `typescript-for-docs`: the last version with that API.
 *
 *   node --import ./scripts/docs/typescript-for-docs.js node_modules/typedoc/bin/typedoc
 */
import { register } from "node:module";

const HOOK = `export const resolve = (specifier, context, next) =>
  next(specifier === "typescript" ? "typescript-for-docs" : specifier, context);`;

register(`data:text/javascript,${encodeURIComponent(HOOK)}`, import.meta.url);
