/**
 * Where the code of threads and children is: beside this file, with the same
 * extension, so that it works from sources and from dist/ alike.
 *
 * @returns a file URL
 */
export function childFile(name: "thread-child" | "process-child"): string {
  const here = new URL(import.meta.url);
  return new URL(`./${name}${here.pathname.endsWith(".ts") ? ".ts" : ".js"}`, here).href;
}
