/**
 * Presence probes: a worker that is silent for longer than its interval is asked.
 *
 * Decided here: when nobody listens at its control subject, twice, the worker is LOST
 * at once. Any answer is a sign of life, so lost heartbeats do not make a worker LOST.
 * A probe without an answer decides nothing; only silence does. Shortly after this
 * meter's own reconnect no worker is judged, since workers may still be reconnecting.
 */
import { setMaxListeners } from "node:events";
import { toBinary } from "@bufbuild/protobuf";
import { type Heartbeat, HeartbeatSchema } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { askControl } from "../../mesh/link/ask-control.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { decodeHeartbeat } from "../../mesh/wire/heartbeat-codec.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import { countOne, type Tally } from "./registry/counters.js";
import type { WorkerRow } from "./registry/worker-row.js";
import type { View } from "./streams/view.js";

/** The time between two probes without a listener, and how long an answer may take, in milliseconds. */
const SECOND_PROBE_MS = 300;
const ANSWER_LIMIT_MS = 1_000;
/** Probes under way at once. */
const MAX_PROBES = 64;
/** This meter's own connection must have been stable for this long, in milliseconds. */
export const STABLE_AFTER_MS = 3_000;

/** What a prober needs. */
export interface ProberParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
  readonly view: View;
  readonly tally: Tally;
  readonly nowMs: () => number;
}

interface Suspect {
  asking: boolean;
  /** When it was asked last. */
  askedMs: number;
  /** The newest heartbeat at the time when nobody listened at its control subject. */
  absentSince: Heartbeat | undefined;
}

/** Asks silent workers whether they are there. */
export class Prober {
  readonly #parts: ProberParts;
  readonly #suspects = new Map<WorkerRow, Suspect>();
  readonly #stop = new AbortController();
  #asking = 0;
  #judging = false;

  constructor(parts: ProberParts) {
    this.#parts = parts;
    setMaxListeners(MAX_PROBES, this.#stop.signal);
  }

  /**
   * Asks the workers of `quiet` that are due, and forgets those that are not quiet any more.
   *
   * @param judging false: an answer is a sign of life, but an absence does not count yet
   */
  consider(quiet: readonly WorkerRow[], nowMs: number, { judging }: { readonly judging: boolean }): void {
    this.#judging = judging;
    const still = new Set(quiet);
    for (const [row, suspect] of this.#suspects) {
      if (!still.has(row) && !suspect.asking) this.#suspects.delete(row);
    }
    for (const row of quiet) {
      if (this.#asking >= MAX_PROBES) return;
      const suspect = this.#suspects.get(row) ?? { asking: false, askedMs: -Infinity, absentSince: undefined };
      if (suspect.asking || nowMs - suspect.askedMs < SECOND_PROBE_MS) continue;
      this.#suspects.set(row, suspect);
      void this.#ask(row, suspect, nowMs);
    }
  }

  /** Forgets all absences: what was seen before a disconnect does not count. */
  reset(): void {
    for (const suspect of this.#suspects.values()) suspect.absentSince = undefined;
  }

  stop(): void {
    this.#stop.abort();
    this.#suspects.clear();
  }

  async #ask(row: WorkerRow, suspect: Suspect, nowMs: number): Promise<void> {
    suspect.asking = true;
    suspect.askedMs = nowMs;
    this.#asking += 1;
    try {
      const { bus, view } = this.#parts;
      const { pool, worker } = row;
      const request = { case: "probe", value: {} } as const;
      const question = { pool, worker, request, limitMs: ANSWER_LIMIT_MS, signal: this.#stop.signal };
      const answer = await askControl(bus, this.#parts, question);
      suspect.absentSince = undefined;
      countOne(this.#parts.tally.probes, "answered");
      this.#hear(row, answer.worker, view);
    } catch (error) {
      this.#onFailure(row, suspect, error);
    } finally {
      suspect.asking = false;
      this.#asking -= 1;
    }
  }

  #hear(row: WorkerRow, beat: Heartbeat | undefined, view: View): void {
    const nowMs = this.#parts.nowMs();
    if (beat !== undefined) {
      const data = toBinary(HeartbeatSchema, beat);
      const decoded = decodeHeartbeat({ data, contentType: "", pool: row.pool, sender: row.worker });
      if (decoded.ok) view.observe(decoded.beat, nowMs);
    }
    if (beat === undefined || beat.incarnation === row.incarnation) view.registry.signOfLife(row, nowMs);
  }

  #onFailure(row: WorkerRow, suspect: Suspect, error: unknown): void {
    if (this.#stop.signal.aborted || !(error instanceof PoolError)) return;
    if (error.reason === "deadline_exceeded" || error.reason === "bus_unavailable") {
      countOne(this.#parts.tally.probes, "no_answer");
      return;
    }
    if (error.reason !== "not_found") {
      // It refused, so it is there.
      countOne(this.#parts.tally.probes, "answered");
      this.#parts.view.registry.signOfLife(row, this.#parts.nowMs());
      return;
    }
    countOne(this.#parts.tally.probes, "no_responders");
    if (!this.#judging) return;
    if (suspect.absentSince === row.beat) this.#parts.view.registry.markLost(row, this.#parts.nowMs());
    suspect.absentSince = row.beat;
  }
}
