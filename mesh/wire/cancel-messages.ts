/**
 * Cancels and revocations: what their message says, and which ones were heard. Pure.
 *
 * A cancel of a whole id names no submission, and is said again while nobody answers. The same
 * id may be used anew in between: so who has heard a cancel does not act on its
 * repetition, and gives the answer that it gave. Who has not acts on it for what was
 * there when it was said first.
 */
import { LRUCache } from "lru-cache";
import type { Msg, MsgHdrs } from "nats";
import { decodeJobHeaders, HEADER, MAX_TIMEOUT_MS } from "./headers.js";
import { type HeaderReader, integerOf, wireHeaders } from "./wire-headers.js";

/** Which attempts of which submission a cancel message means. */
export interface Revocation {
  /** Attempts up to this one; undefined for all. 0 takes a cancel of the whole id back: the id is used anew. */
  readonly upToAttempt: number | undefined;
  /** The submission; undefined or "" for every job of this id. */
  readonly nonce: string | undefined;
  /** It is said again: so long ago it was said first, in milliseconds. What began since then is not meant. */
  readonly saidAgoMs?: number;
  /** Of one that is read: its sender's monotonic clock when it left, milliseconds. */
  readonly clockMs?: number;
}

/** Headers of a cancel message. */
export function encodeRevocation({ upToAttempt, nonce, saidAgoMs }: Revocation): MsgHdrs {
  const h = wireHeaders();
  if (upToAttempt !== undefined) h.append(HEADER.attempt, String(upToAttempt));
  if (nonce) h.append(HEADER.nonce, nonce);
  if (saidAgoMs !== undefined) h.append(HEADER.saidAgoMs, String(Math.ceil(saidAgoMs)));
  return h;
}

/** Reads the headers of a cancel message. @throws PoolError `invalid_argument` with the header as its field */
export function decodeRevocation(h: HeaderReader | undefined): Revocation {
  if (h?.get(HEADER.attempt) === "0") return { upToAttempt: 0, nonce: undefined };
  const { attempt: upToAttempt, nonce, clockMs } = decodeJobHeaders(h);
  const said = { upToAttempt, nonce, ...(clockMs === undefined ? {} : { clockMs }) };
  const saidAgo = h?.get(HEADER.saidAgoMs) ?? "";
  if (saidAgo === "") return said;
  return { ...said, saidAgoMs: integerOf(HEADER.saidAgoMs, saidAgo, 0, MAX_TIMEOUT_MS) };
}

/** At most so many are remembered; the oldest goes first. */
const MAX_CANCELS = 10_000;

/** What a cancel means to who hears it. */
export interface Meaning {
  /** Only what was there before this time is meant, monotonic milliseconds; undefined when all is. */
  readonly beforeMs?: number;
}

const ALL: Meaning = {};

export class HeardCancels {
  /** By where its sender waits for the answer: whether each was answered. Bounded by `maxSize`, it takes no room while empty. */
  readonly #answered = new LRUCache<string, boolean>({ maxSize: MAX_CANCELS, sizeCalculation: () => 1 });

  /**
   * Whether a cancel is answered. One that was heard before is not acted on, and is answered as it was then.
   *
   * @param reply where its sender waits
   * @param act says whether it ended something
   */
  answers(
    { subject, reply }: Pick<Msg, "subject" | "reply">,
    { upToAttempt, nonce, saidAgoMs }: Revocation,
    act: () => boolean,
  ): boolean {
    const key = `${subject} ${reply}`;
    const before = saidAgoMs === undefined || !reply ? undefined : this.#answered.get(key);
    if (before !== undefined) return before;
    const answered = act();
    if (reply && upToAttempt === undefined && !nonce) this.#answered.set(key, answered);
    return answered;
  }
}

/** @param nowMs monotonic milliseconds */
export function meaningOf({ saidAgoMs }: Revocation, nowMs: number): Meaning {
  return saidAgoMs === undefined ? ALL : { beforeMs: nowMs - saidAgoMs };
}
