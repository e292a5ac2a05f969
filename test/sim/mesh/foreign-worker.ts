/**
 * Workers that are not ours, on a bare connection: one written after
 * docs/protocol.md, and a plain `nats reply`.
 *
 * The foreign one may do all that the protocol allows and ours does not: its
 * heartbeat lists a job before it says `accepted`, its heartbeats are JSON, and
 * its answers to control are empty.
 */
import type { Msg } from "nats";
import { json } from "../../../mesh/job/codec.js";
import type { Connection } from "../../../mesh/link/connection.js";
import type { Runtime } from "../../../mesh/link/runtime.js";
import { encodeReplyHeaders, HEADER, type ReplyKind } from "../../../mesh/wire/headers.js";
import type { SimulatedProcess } from "../../../testing/sim/sim-process.js";
import type { History, RunFact } from "../history.js";
import { POOL } from "../plan.js";
import type { Actor } from "./actors.js";
import type { RunCounter, SimPayload } from "./handler.js";

const BEAT_MS = 1_000;
/** It names no nonces: where the id was chosen, its list tells nobody that it has the job. It says `accepted` so long after its heartbeat has listed the job, milliseconds. */
export const ACCEPT_AFTER_MS = 50;

/** They end when they are told to, and not by themselves. One promise for all of them would keep every mesh in memory. */
const never = (): Promise<never> => new Promise(() => undefined);

/** What both kinds have. */
export interface ForeignParts {
  readonly connection: Connection;
  readonly process: SimulatedProcess;
  readonly history: History;
  readonly runs: RunCounter;
  readonly id: string;
  readonly slots: number;
}

/** A worker written after docs/protocol.md. */
export function makeForeignWorker(parts: ForeignParts): Actor {
  const worker = new ForeignWorker(parts);
  return {
    ended: never(),
    start: async () => worker.start(),
    leave: () => worker.leave(),
    unclean: () => (worker.busy === 0 ? [] : [`${parts.id} has ${worker.busy} busy slots`]),
    awaited: () => [],
  };
}

/** A plain `nats reply`: it answers every job with its result and nothing else. */
export function makeBareWorker(parts: ForeignParts): Actor {
  const { connection, process } = parts;
  const start = async (): Promise<void> => {
    connection.subscribe(`pool.${POOL}.job`, {
      queue: "workers",
      callback: (_error, msg) => {
        const run = beginRun(parts, msg);
        process.runtime.after(Math.max(1, run.payload.durationMs), () => {
          connection.publish(msg.reply ?? "", endRun(parts, run));
        });
      },
    });
    await connection.flush();
  };
  return { ended: never(), start, leave: () => connection.close(), unclean: () => [], awaited: () => [] };
}

interface Run {
  readonly fact: RunFact;
  readonly payload: SimPayload;
}

function beginRun({ process, history, runs, id }: ForeignParts, msg: Msg): Run {
  const payload = json.decode(msg.data) as SimPayload;
  const jobId = msg.headers?.get(HEADER.jobId) ?? "";
  const attempt = Number(msg.headers?.get(HEADER.attempt) || 1);
  const fact: RunFact = { run: runs.next(), id: jobId, attempt, number: payload.number };
  history.record({ kind: "start", worker: id, process: process.name, ...fact });
  return { fact, payload };
}

function endRun({ process, history, id }: ForeignParts, { fact }: Run): Uint8Array {
  history.record({ kind: "end", worker: id, process: process.name, ...fact });
  return json.encode({ number: fact.number, run: fact.run });
}

class ForeignWorker {
  readonly #parts: ForeignParts;
  readonly #runtime: Runtime;
  readonly #running = new Set<Run>();
  readonly #incarnation: number;
  #seq = 0;
  #state = "WORKER_STATE_READY";

  constructor(parts: ForeignParts) {
    this.#parts = parts;
    this.#runtime = parts.process.runtime;
    this.#incarnation = this.#runtime.wallNow();
  }

  get busy(): number {
    return this.#running.size;
  }

  async start(): Promise<void> {
    const { connection, id } = this.#parts;
    const take = (_error: Error | null, msg: Msg): void => this.#take(msg);
    connection.subscribe(`pool.${POOL}.job`, { queue: "workers", callback: take });
    connection.subscribe(`pool.${POOL}.job.${id}`, { callback: take });
    connection.subscribe(`pool.${POOL}.cancel.*`, { callback: () => undefined });
    connection.subscribe(`pool.${POOL}.control.${id}`, {
      callback: (_error, msg) => {
        if (msg.reply) connection.publish(msg.reply);
      },
    });
    connection.subscribe(`pool.${POOL}.control`, { callback: () => this.#beat() });
    await connection.flush();
    this.#beat();
    this.#runtime.every(BEAT_MS, () => this.#beat());
  }

  async leave(): Promise<void> {
    this.#state = "WORKER_STATE_STOPPED";
    this.#beat();
    // It leaves without a last word when the broker is not there.
    await this.#parts.connection.flush().catch(() => undefined);
    await this.#parts.connection.close();
  }

  #take(msg: Msg): void {
    const { connection, slots } = this.#parts;
    if (this.#running.size >= slots) return this.#answer(msg, "busy");
    const run = beginRun(this.#parts, msg);
    this.#running.add(run);
    this.#beat();
    this.#runtime.after(ACCEPT_AFTER_MS, () => this.#running.has(run) && this.#answer(msg, "accepted"));
    this.#runtime.after(Math.max(1, run.payload.durationMs), () => {
      this.#running.delete(run);
      const result = endRun(this.#parts, run);
      if (!connection.isClosed()) this.#answer(msg, "result", result);
      this.#beat();
    });
  }

  #answer(msg: Msg, kind: ReplyKind, payload: Uint8Array = new Uint8Array(0)): void {
    const { connection, id, slots } = this.#parts;
    const headers = encodeReplyHeaders({
      kind,
      worker: id,
      free: slots - this.#running.size,
      jobId: msg.headers?.get(HEADER.jobId) ?? "",
      attempt: Number(msg.headers?.get(HEADER.attempt) || 1),
    });
    if (msg.reply) connection.publish(msg.reply, payload, { headers });
  }

  #beat(): void {
    const { connection, id, slots } = this.#parts;
    if (connection.isClosed()) return;
    this.#seq += 1;
    const beat = {
      pool: POOL,
      worker: id,
      incarnation: String(this.#incarnation),
      seq: String(this.#seq),
      state: this.#state,
      slots,
      busy: this.#running.size,
      runningJobs: [...new Set([...this.#running].map(({ fact }) => fact.id))],
      heartbeatIntervalMs: BEAT_MS,
    };
    connection.publish(`pool.${POOL}.heartbeat.${id}`, json.encode(beat));
  }
}
