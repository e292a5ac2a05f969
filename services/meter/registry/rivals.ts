/**
 * Two processes under one worker id: whether the older one is alive.
 *
 * Pure. Heartbeats of a process that is older than the newest known one may be late
 * messages (duplicates, reordering, the last heartbeat before a restart). The older
 * process counts as alive after two heartbeats with rising numbers, at least one
 * interval apart, that came after the newer process appeared. Only then are both
 * kept, and the conflict is shown.
 */
import type { Heartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { intervalMs, lostAfterMs } from "../../../mesh/wire/liveness-rules.js";

/** Older processes watched under one id. */
const MAX_RIVALS = 8;

interface Evidence {
  seq: bigint;
  rising: number;
  firstMs: number;
  lastMs: number;
}

/** The older processes under one worker id. */
export class Rivals {
  readonly #byIncarnation = new Map<bigint, Evidence>();

  /** Notes that a newer process took the place of this one, whose newest heartbeat was `seq`. */
  supersede(incarnation: bigint, seq: bigint, nowMs: number): void {
    this.#keep(incarnation, { seq, rising: 0, firstMs: nowMs, lastMs: nowMs });
  }

  /** Evaluates a heartbeat of an older process. True when that process counts as alive. */
  proves(beat: Heartbeat, nowMs: number): boolean {
    const known = this.#byIncarnation.get(beat.incarnation);
    if (known === undefined || nowMs - known.lastMs > lostAfterMs(beat.heartbeatIntervalMs)) {
      if (known !== undefined && beat.seq <= known.seq) return false;
      this.#keep(beat.incarnation, { seq: beat.seq, rising: 1, firstMs: nowMs, lastMs: nowMs });
      return false;
    }
    if (beat.seq <= known.seq) return false;
    if (known.rising === 0) known.firstMs = nowMs;
    known.seq = beat.seq;
    known.rising += 1;
    known.lastMs = nowMs;
    return known.rising >= 2 && nowMs - known.firstMs >= intervalMs(beat.heartbeatIntervalMs);
  }

  /** Forgets a process that counts as alive, or that said STOPPED. */
  drop(incarnation: bigint): void {
    this.#byIncarnation.delete(incarnation);
  }

  #keep(incarnation: bigint, evidence: Evidence): void {
    if (!this.#byIncarnation.has(incarnation) && this.#byIncarnation.size >= MAX_RIVALS) {
      const oldest = this.#byIncarnation.keys().next().value as bigint;
      this.#byIncarnation.delete(oldest);
    }
    this.#byIncarnation.set(incarnation, evidence);
  }
}
