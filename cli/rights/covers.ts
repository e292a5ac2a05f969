/** Whether a set of rights allows something, as nats-server judges it. Pure. */
import type { Right, Rights } from "./right.js";

/** What somebody tries to do. */
export interface Attempted {
  readonly operation: "publish" | "subscribe";
  /** Of a subscription it may have wildcards. */
  readonly subject: string;
  readonly queue?: string;
}

/** Whether the rights allow it. Answers to what was received ({@link Rights.responses}) are not judged here. */
export function isAllowed(rights: Rights, { operation, subject, queue }: Attempted): boolean {
  return rights[operation].some((right) => covers(right.subject, subject) && isInQueue(right, queue));
}

/** A right that names a queue group is for that group only. */
function isInQueue(right: Right, queue: string | undefined): boolean {
  return right.queue === undefined || right.queue === queue;
}

/** Whether every subject that `subject` matches is matched by `pattern`. */
export function covers(pattern: string, subject: string): boolean {
  const wanted = subject.split(".");
  const tokens = pattern.split(".");
  for (const [i, token] of tokens.entries()) {
    const each = wanted[i];
    if (token === ">") return each !== undefined;
    if (each === undefined || each === ">") return false;
    if (token !== "*" && token !== each) return false;
  }
  return tokens.length === wanted.length;
}
