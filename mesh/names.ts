/**
 * The name rule: what a pool, a worker, a job or a manager may be called.
 *
 * Decided here and nowhere else, because nats.js checks neither wildcards nor
 * queue-group names: a CR LF in one would reach the broker as protocol. Every
 * edge calls {@link checkName} before a name touches a subject.
 */
import { PoolError } from "./errors.js";

/** What kinds of thing bear names. */
export type NameKind = "pool" | "worker" | "job" | "manager" | "nonce";

/** The longest name, in characters. */
export const MAX_NAME_LENGTH = 63;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** Whether `name` obeys the rule: a letter or digit, then up to 62 letters, digits, `_` or `-`. */
export function isName(name: unknown): name is string {
  return typeof name === "string" && NAME.test(name);
}

/**
 * Returns `name` when it obeys the rule.
 *
 * @throws PoolError `invalid_argument`, with `kind` as its field; the message
 * never repeats the name raw.
 */
export function checkName(kind: NameKind, name: unknown): string {
  if (isName(name)) return name;
  throw new PoolError("invalid_argument", `${kind} name ${describe(name)}: use 1 to 63 letters, digits, "_" or "-"`, {
    field: kind,
  });
}

function describe(name: unknown): string {
  if (typeof name !== "string") return `is ${name === null ? "null" : typeof name}`;
  if (name === "") return "is empty";
  if (name.length > MAX_NAME_LENGTH) return `has ${name.length} characters`;
  return "has a character that is not allowed";
}
