/**
 * Counts wrong tokens by source address and makes the source wait.
 *
 * Pure; `nowMs` is a monotonic clock. After a few wrong tokens from an address, tokens
 * from that address are not checked for one second, then for two, four and up to
 * thirty. So parallel requests guess no faster than requests one after another. The
 * same wrong token once more is no other guess: a page opens several streams with it.
 * Ten minutes without a wrong token reset the address.
 */
import { sourceOf } from "../http/rpc/peer.js";

/** Wrong tokens that cost no wait: a person may mistype. */
const FREE_GUESSES = 3;
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 30_000;
const FORGET_AFTER_MS = 600_000;
/** Addresses remembered at once; beyond that the one that was silent for longest is forgotten. */
const MAX_SOURCES = 10_000;

/** Wrong tokens of one address that are known again, by their hashes. */
const MAX_RECENT = 8;

interface Guesser {
  wrong: number;
  recent: readonly string[];
  lastMs: number;
  untilMs: number;
}

/** Counts wrong tokens. */
export class Guesses {
  readonly #bySource = new Map<string, Guesser>();

  /** How long this address has to wait before its next token is checked, in milliseconds; 0 when it need not wait. */
  waitMs(source: string, nowMs: number): number {
    return Math.max(0, (this.#bySource.get(sourceOf(source))?.untilMs ?? 0) - nowMs);
  }

  /** A token was wrong. Returns how many were in a row. @param token its hash */
  wrong(source: string, nowMs: number, token: string): number {
    const key = sourceOf(source);
    const known = this.#bySource.get(key);
    const isKnown = known !== undefined && nowMs - known.lastMs <= FORGET_AFTER_MS;
    if (isKnown && known.recent.includes(token)) return known.wrong;
    const wrong = isKnown ? known.wrong + 1 : 1;
    const recent = [token, ...(isKnown ? known.recent : [])].slice(0, MAX_RECENT);
    const waitMs = wrong <= FREE_GUESSES ? 0 : Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (wrong - FREE_GUESSES - 1));
    this.#bySource.delete(key);
    this.#bySource.set(key, { wrong, recent, lastMs: nowMs, untilMs: nowMs + waitMs });
    if (this.#bySource.size > MAX_SOURCES) this.#bySource.delete(this.#bySource.keys().next().value as string);
    return wrong;
  }
}
