/** The key by which jobs of one pool share a limit, such as a tenant: what is one, and how it is named in a subject. Pure. */
import { createHash } from "node:crypto";
import { PoolError } from "../../errors.js";

const MAX_KEY = 128;

/** @param field for the error. @throws PoolError `invalid_argument` */
export function checkConcurrencyKey(key: unknown, field = "concurrencyKey"): string {
  const isPlain = typeof key === "string" && !/\p{Cc}|\p{Cs}/u.test(key) && key.trim() === key;
  if (isPlain && key.length >= 1 && key.length <= MAX_KEY) return key;
  const message = `${field}: use 1 to ${MAX_KEY} characters, none of them a control character, no space at either end`;
  throw new PoolError("invalid_argument", message, { field });
}

/** One token of a subject for any key: whatever characters it has, it can name no other subject. */
export function keyToken(key: string): string {
  return `k${createHash("sha256").update(key).digest("base64url").slice(0, 22)}`;
}
