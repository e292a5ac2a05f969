/** Warnings of what still works and will go: one for each, once a process, as Node's own deprecations. */
const told = new Set<string>();

/**
 * Warns, unless it has warned of this before.
 *
 * @param code such as "POOLMESH_DEP0001"; docs/options.md lists them
 */
export function deprecated(code: string, message: string): void {
  if (told.has(code)) return;
  told.add(code);
  process.emitWarning(message, { type: "DeprecationWarning", code });
}
