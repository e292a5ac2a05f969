/** An owner of what a row starts, for runs outside of a test runner. */
import type { Owner } from "../../support/clean-up.js";

type Hook = () => unknown;
const hooks = new WeakMap<Owner, Hook[]>();

/** An owner that ends when {@link cleanUpNow} says so. */
export function ownOwner(): Owner {
  const own: Hook[] = [];
  const owner: Owner = { after: (fn) => void own.push(fn as Hook) };
  hooks.set(owner, own);
  return owner;
}

/** Ends everything that this owner has. Every hook runs; errors are printed. */
export async function cleanUpNow(owner: Owner): Promise<void> {
  for (const hook of hooks.get(owner) ?? []) {
    try {
      await hook();
    } catch (error) {
      console.error(`clean-up: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
