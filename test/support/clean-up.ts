/**
 * Clean-up after a test, last in first out.
 *
 * node:test runs `t.after` hooks in the order in which they were added, so that
 * a broker would go before those who use it. Here what was started last goes first.
 */
import { after, type TestContext } from "node:test";

/** Whose end triggers a clean-up: a test's context, or {@link WHOLE_FILE}. */
export type Owner = Pick<TestContext, "after">;

/** The owner of what a whole file or suite shares. */
export const WHOLE_FILE: Owner = { after: (fn) => after(fn as () => void) };

type CleanUp = () => unknown;
const stacks = new WeakMap<Owner, CleanUp[]>();

/** Runs `fn` when `owner` ends, before all that was registered here earlier. Every one runs; the first error is thrown. */
export function cleanUp(owner: Owner, fn: CleanUp): void {
  stackOf(owner).push(fn);
}

/** Runs `fn` after all that was, and will be, registered here for `owner`. */
export function cleanUpLast(owner: Owner, fn: CleanUp): void {
  stackOf(owner).unshift(fn);
}

function stackOf(owner: Owner): CleanUp[] {
  const known = stacks.get(owner);
  if (known !== undefined) return known;
  const stack: CleanUp[] = [];
  stacks.set(owner, stack);
  owner.after(() => unwind(stack));
  return stack;
}

async function unwind(stack: CleanUp[]): Promise<void> {
  const errors: unknown[] = [];
  for (let fn = stack.pop(); fn !== undefined; fn = stack.pop()) {
    try {
      await fn();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
