/**
 * Asks silent workers whether they are there, and tells the view what came of it.
 *
 * Any answer is a sign of life, so lost heartbeats do not make a worker LOST. A
 * worker that is gone is LOST at once. Not decided here: when somebody is gone, and
 * when this meter may judge (mesh/link/presence.ts).
 */
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { Presence } from "../../mesh/link/presence.js";
import { decodeControlReply, encodeControl } from "../../mesh/wire/control-messages.js";
import { checkHeartbeat } from "../../mesh/wire/heartbeat-codec.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import type { Reply } from "../../mesh/wire/wire-headers.js";
import { countOne, type Tally } from "./registry/counters.js";
import type { WorkerRow } from "./registry/worker-row.js";
import type { View } from "./streams/view.js";

/** What a prober needs. */
export interface ProberParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
  readonly view: View;
  readonly tally: Tally;
  readonly nowMs: () => number;
}

export class Prober {
  readonly #parts: ProberParts;
  readonly #presence: Presence;
  /** The silent ones, by key. */
  #silent = new Map<string, WorkerRow>();

  constructor(parts: ProberParts) {
    this.#parts = parts;
    const payload = encodeControl("probe", {});
    this.#presence = new Presence({
      bus: parts.bus,
      inbox: parts.inbox,
      question: (key) => {
        const { pool, worker } = this.#silent.get(key) as WorkerRow;
        return { subject: parts.subjects.control(pool, worker), payload };
      },
      onPresent: (key, reply) => this.#onPresent(this.#silent.get(key), reply),
      onSilent: () => countOne(parts.tally.probes, "no_answer"),
      onAbsent: () => countOne(parts.tally.probes, "no_responders"),
      onGone: (key) => this.#onGone(this.#silent.get(key)),
    });
  }

  /** Asks those silent workers that are due, and forgets those that are not silent any more. */
  check(rows: readonly WorkerRow[], nowMs: number): void {
    const silent = new Map(rows.map((row) => [keyOf(row), row]));
    for (const key of this.#silent.keys()) if (!silent.has(key)) this.#presence.forget(key);
    this.#silent = silent;
    for (const [key, row] of silent) this.#presence.check(key, nowMs - row.quietFromMs, nowMs);
  }

  /** This connection is back: absence that was seen before counts no more, and none counts for a while. */
  onReconnect(): void {
    this.#presence.onReconnect(this.#parts.bus.runtime.now());
  }

  stop(): void {
    this.#presence.stop();
  }

  #onPresent(row: WorkerRow | undefined, reply: Reply): void {
    countOne(this.#parts.tally.probes, "answered");
    if (row === undefined) return;
    const { view, nowMs } = this.#parts;
    const heartbeat = heartbeatIn(row, reply);
    if (heartbeat !== undefined) view.observe(heartbeat, nowMs());
    if (heartbeat === undefined || heartbeat.incarnation === row.incarnation) view.registry.signOfLife(row, nowMs());
  }

  #onGone(row: WorkerRow | undefined): void {
    if (row !== undefined) this.#parts.view.registry.markLost(row, this.#parts.nowMs());
  }
}

/** Two starts of one worker are two rows. */
function keyOf({ pool, worker, incarnation }: WorkerRow): string {
  return `${pool} ${worker} ${incarnation}`;
}

/** The heartbeat in a worker's answer; undefined when it has none that is sound. A refusal is an answer too. */
function heartbeatIn({ pool, worker }: WorkerRow, reply: Reply): Heartbeat | undefined {
  try {
    const { worker: heartbeat } = decodeControlReply(worker, reply);
    if (heartbeat === undefined) return undefined;
    return checkHeartbeat(heartbeat, { pool, sender: worker }) === undefined ? heartbeat : undefined;
  } catch {
    return undefined;
  }
}
