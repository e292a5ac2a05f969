/**
 * Where the code of threads and children is: beside this file, with the same
 * extension, so that it works from sources and from dist/ alike.
 */

/** The key of the function that takes away the loader of our own sources, when they run as TypeScript. */
export const OWN_LOADER = Symbol.for("poolmesh.own-loader");

/**
 * The file of a thread's or child's code.
 *
 * @returns a file URL
 */
export function childFile(name: "thread-child" | "process-child"): string {
  const here = new URL(import.meta.url);
  return new URL(`./${name}${here.pathname.endsWith(".ts") ? ".ts" : ".js"}`, here).href;
}

/**
 * A script that makes Node load our sources; undefined when we run from dist/.
 *
 * Not the loader of this process: a handler's own TypeScript settings take its place later.
 *
 * @param next what to import after that
 * @returns a data: URL
 */
export function ownLoader(next?: string): string | undefined {
  if (!import.meta.url.endsWith(".ts")) return undefined;
  const register = `const { register } = await import(${JSON.stringify(import.meta.resolve("tsx/esm/api"))});`;
  const keep = `globalThis[Symbol.for(${JSON.stringify(OWN_LOADER.description)})] = register();`;
  const script = register + keep + (next === undefined ? "" : `await import(${JSON.stringify(next)});`);
  return `data:text/javascript,${encodeURIComponent(script)}`;
}
