/**
 * The presence probe of managers, meters and clients: is the other side there?
 *
 * A part is asked at a subject that only it listens to. "Nobody listens", at every
 * probe of {@link GONE_AFTER_MS}, means that it is gone: a part whose connection
 * was reset is back sooner. A broker that stands still between two probes tells
 * nothing of the time between them. Any answer means that it is there. No answer at all
 * decides nothing: a process that is stopped or far away still listens.
 *
 * Nobody is judged by one who cannot judge: while this connection is down, is
 * being handed over to another broker, its broker is about to leave, or it has
 * been back for less than {@link STABLE_AFTER_MS}, absence is not counted, since
 * the others are reconnecting too.
 */
import type { Reply } from "../wire/wire-headers.js";
import type { Bus } from "./bus.js";
import type { Inbox } from "./inbox.js";

/** A part that is silent for this long is probed, and so often while nobody listens, in milliseconds. */
export const PROBE_AFTER_MS = 150;
/** Nobody has listened for this long: it is gone, in milliseconds. */
export const GONE_AFTER_MS = 600;
/** Between two answers "nobody listens" no more than this counts, in milliseconds. */
const MAX_COUNTED_MS = 2 * PROBE_AFTER_MS;
/** After a reconnect nobody's absence counts for this long, in milliseconds. */
export const STABLE_AFTER_MS = 3_000;
/** How long an answer is waited for, in milliseconds. */
const ANSWER_LIMIT_MS = 1_000;
/** Probes under way at once. */
const MAX_PROBES = 64;

/** Who is asked, and who hears what comes of it. */
export interface PresenceParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
  /** The question to one of them. */
  readonly question: (id: string) => { readonly subject: string; readonly payload?: Uint8Array };
  /** It is there. @param roundTripMs how long the answer took */
  readonly onPresent: (id: string, reply: Reply, roundTripMs: number) => void;
  /** It did not answer in time. This decides nothing. */
  readonly onSilent?: () => void;
  /** Nobody listened at its subject, for the first time or again. */
  readonly onAbsent?: (id: string) => void;
  /** Nobody has listened for {@link GONE_AFTER_MS}: it is gone. */
  readonly onGone: (id: string) => void;
}

interface Probe {
  askedAtMs: number;
  asking: boolean;
  /** When nobody listened, last. */
  absentAtMs: number | undefined;
  /** For how long nobody has listened. */
  absentForMs: number;
}

export class Presence {
  readonly #parts: PresenceParts;
  readonly #probes = new Map<string, Probe>();
  #asking = 0;
  #judgeFromMs: number;
  #stopped = false;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#judgeFromMs = parts.bus.runtime.now();
  }

  /** Whether somebody's absence or silence counts now. */
  mayJudge(nowMs: number): boolean {
    const { bus } = this.#parts;
    return bus.connected && !bus.handingOver && !bus.lameDuck && nowMs >= this.#judgeFromMs;
  }

  /** Probes `id` when it is due. @param silentMs how long it has not been heard */
  check(id: string, silentMs: number, nowMs: number): void {
    const probe = this.#probes.get(id);
    if (probe?.asking) return;
    const sinceMs = probe?.absentAtMs === undefined ? silentMs : nowMs - probe.askedAtMs;
    if (sinceMs >= PROBE_AFTER_MS) this.probe(id);
  }

  /** Probes `id` now, unless as many are probed as may be. */
  probe(id: string): void {
    if (this.#stopped || this.#asking >= MAX_PROBES || !this.#parts.bus.connected) return;
    const probe = this.#probes.get(id) ?? { askedAtMs: 0, asking: false, absentAtMs: undefined, absentForMs: 0 };
    if (probe.asking) return;
    this.#probes.set(id, probe);
    void this.#ask(id, probe);
  }

  /** It was heard of otherwise, or is of no interest any more. */
  forget(id: string): void {
    this.#probes.delete(id);
  }

  /** This connection is back, or works again: absence that was seen before counts no more, and none counts for a while. */
  onReconnect(nowMs: number): void {
    this.#judgeFromMs = nowMs + STABLE_AFTER_MS;
    for (const probe of this.#probes.values()) resetAbsence(probe);
  }

  stop(): void {
    this.#stopped = true;
    this.#probes.clear();
  }

  async #ask(id: string, probe: Probe): Promise<void> {
    const { bus, inbox, question } = this.#parts;
    probe.asking = true;
    probe.askedAtMs = bus.runtime.now();
    this.#asking += 1;
    const answer = await inbox.ask({ ...question(id), limitMs: ANSWER_LIMIT_MS });
    this.#asking -= 1;
    probe.asking = false;
    if (this.#stopped || this.#probes.get(id) !== probe) return;
    const nowMs = bus.runtime.now();
    if (answer.kind === "absent") this.#onAbsent(id, probe, nowMs);
    if (answer.kind === "silent") this.#onSilent(probe);
    if (answer.kind !== "reply") return;
    this.#probes.delete(id);
    this.#parts.onPresent(id, answer.msg, nowMs - probe.askedAtMs);
  }

  #onAbsent(id: string, probe: Probe, nowMs: number): void {
    this.#parts.onAbsent?.(id);
    if (!this.mayJudge(nowMs)) return;
    probe.absentForMs += Math.min(nowMs - (probe.absentAtMs ?? nowMs), MAX_COUNTED_MS);
    probe.absentAtMs = nowMs;
    if (probe.absentForMs < GONE_AFTER_MS) return;
    this.#probes.delete(id);
    this.#parts.onGone(id);
  }

  /** It listens and does not answer, or the broker does not. */
  #onSilent(probe: Probe): void {
    resetAbsence(probe);
    this.#parts.onSilent?.();
  }
}

function resetAbsence(probe: Probe): void {
  probe.absentAtMs = undefined;
  probe.absentForMs = 0;
}
