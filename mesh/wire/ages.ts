/**
 * How old a message is when it comes, without comparing clocks. Pure.
 *
 * A sender writes its monotonic clock into its messages. The difference to the
 * receiver's clock is an unknown offset and the time on the way. The least
 * difference that was seen from a sender stands for the offset and the shortest
 * way; what a message has above it is its age. So the age is too low by the
 * shortest time on the way, and never too high but for the drift of the clocks,
 * which is allowed for. Wall clocks are compared only where a sender gives nothing
 * better.
 */

import { LRUCache } from "lru-cache";
import type { MsgHdrs } from "nats";
import { HEADER, type JobHeaders } from "./headers.js";
import { type HeaderReader, wireHeaders } from "./wire-headers.js";

/** How far two clocks may drift apart, as a part of the time that passes. */
const DRIFT = 3e-4;
/** When all messages for so long were slower, the way has become longer, in milliseconds. */
const LONGER_WAY_MS = 15_000;
/** How far apart wall clocks may be where they are compared, in milliseconds. */
const CLOCK_TOLERANCE_MS = 2_000;
/** Senders that are remembered. */
const MAX_SENDERS = 10_000;

/** The clock that a message says its sender had; undefined when it says none, or a malformed one. */
export function clockOf(h: HeaderReader | undefined, name: string = HEADER.clock): number | undefined {
  const said = h?.get(name) ?? "";
  return /^\d{1,15}$/.test(said) ? Number(said) : undefined;
}

interface Sender {
  /** The least difference, and when it was seen. */
  leastMs: number;
  leastAtMs: number;
  /** Since when all messages were slower, and the least difference among them. */
  slowerFromMs: number;
  slowerLeastMs: number;
}

export class Ages {
  /** Bounded by `maxSize`, it takes no room while empty. */
  readonly #senders = new LRUCache<string, Sender>({ maxSize: MAX_SENDERS, sizeCalculation: () => 1 });

  /** Whether a message of this sender was measured. */
  knows(sender: string): boolean {
    return this.#senders.has(sender);
  }

  /**
   * The age of a message, in milliseconds; undefined for the first of a sender: nothing tells how old it is.
   *
   * @param sender what names it, such as the prefix of its inbox
   * @param sentMs the sender's monotonic clock when it was sent
   * @param nowMs the receiver's monotonic clock
   */
  of(sender: string, sentMs: number, nowMs: number): number | undefined {
    const differenceMs = nowMs - sentMs;
    const known = this.#senders.get(sender);
    if (known === undefined) {
      const slower = { slowerFromMs: Number.POSITIVE_INFINITY, slowerLeastMs: Number.POSITIVE_INFINITY };
      this.#senders.set(sender, { leastMs: differenceMs, leastAtMs: nowMs, ...slower });
      return undefined;
    }
    const allowedMs = known.leastMs + (nowMs - known.leastAtMs) * DRIFT;
    if (differenceMs <= allowedMs) return this.#newLeast(known, differenceMs, nowMs);
    if (known.slowerFromMs === Number.POSITIVE_INFINITY) known.slowerFromMs = nowMs;
    known.slowerLeastMs = Math.min(known.slowerLeastMs, differenceMs);
    if (nowMs - known.slowerFromMs > LONGER_WAY_MS) this.#newLeast(known, known.slowerLeastMs, nowMs);
    return differenceMs - allowedMs;
  }

  #newLeast(known: Sender, differenceMs: number, nowMs: number): number {
    known.leastMs = differenceMs;
    known.leastAtMs = nowMs;
    known.slowerFromMs = Number.POSITIVE_INFINITY;
    known.slowerLeastMs = Number.POSITIVE_INFINITY;
    return 0;
  }
}

/**
 * Whether `Pool-Expires-At` has passed. It counts only for a sender that does not say its own clock.
 *
 * @param wallMs milliseconds since the epoch
 */
export function hasExpired({ clockMs, expiresAt }: Pick<JobHeaders, "clockMs" | "expiresAt">, wallMs: number): boolean {
  return clockMs === undefined && expiresAt !== undefined && wallMs > expiresAt + CLOCK_TOLERANCE_MS;
}

/** A manager's question for the clock of a sender that it has never heard, and the answer to it: no outcome, though it is a `Pool-Reply`. */
const CLOCK = "clock";

/** Headers of that question. @param nowMs the manager's monotonic clock */
export function encodeClockQuestion(manager: string, nowMs: number): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.reply, CLOCK);
  h.append(HEADER.manager, manager);
  h.append(HEADER.clock, String(Math.floor(nowMs)));
  return h;
}

/** Marks a message that says its sender's clock as the answer to that question. @param question its headers */
export function markClockAnswer(headers: MsgHdrs, question: HeaderReader | undefined): MsgHdrs {
  headers.append(HEADER.reply, CLOCK);
  const askedAtMs = clockOf(question);
  if (askedAtMs !== undefined) headers.append(HEADER.askedAt, String(askedAtMs));
  return headers;
}

/** How long the question that a message answers, and the answer, were on their way, milliseconds; undefined when it is no answer, or does not say so. */
export function wayOf(answer: HeaderReader | undefined, nowMs: number): number | undefined {
  const askedAtMs = isOfClock(answer) ? clockOf(answer, HEADER.askedAt) : undefined;
  return askedAtMs === undefined ? undefined : Math.max(0, nowMs - askedAtMs);
}

/** Whether a message is that question, or the answer to it. */
export function isOfClock(headers: HeaderReader | undefined): boolean {
  return headers?.get(HEADER.reply) === CLOCK;
}
