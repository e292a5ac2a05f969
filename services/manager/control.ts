/**
 * Drain, pause, resume and resize: of one worker, of those with a label, of a
 * pool, or of a number of them.
 *
 * Not decided here: whom a selector means (mesh/wire/worker-selection.ts).
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ControlRequestSchema } from "../../gen/poolmesh/v1/control_pb.js";
import { type Heartbeat, HeartbeatSchema } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { askControl } from "../../mesh/link/ask-control.js";
import type { Bus } from "../../mesh/link/bus.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { selectWorkers } from "../../mesh/wire/worker-selection.js";
import type { Pools } from "./pools.js";

/** Whom a control request is for. */
export interface Selector {
  readonly pool: string;
  /** One worker; "" for several. */
  readonly worker: string;
  readonly labels: Readonly<Record<string, string>>;
  /** At most this many, the least busy first; 0 for all. */
  readonly count: number;
}

/** What is asked of each of them. */
export type WorkerOp =
  | { readonly op: "drain"; readonly wait: boolean }
  | { readonly op: "pause" }
  | { readonly op: "resume" }
  | { readonly op: "resize"; readonly slots: number };

/** How long a worker has to answer, in milliseconds; a drain that waits has ten minutes. */
const ANSWER_LIMIT_MS = 2_000;
const DRAIN_LIMIT_MS = 600_000;

export class WorkerControl {
  readonly #bus: Bus;
  readonly #pools: Pools;

  constructor(bus: Bus, pools: Pools) {
    this.#bus = bus;
    this.#pools = pools;
  }

  /**
   * Asks everyone that the selector means, and resolves with each one's state afterwards.
   *
   * @param signal gives up waiting; what was asked stays asked
   * @throws PoolError `unknown_pool`, `not_found` when nobody matches, what a worker refused
   */
  async ask(selector: Selector, op: WorkerOp, signal?: AbortSignal): Promise<Heartbeat[]> {
    this.#bus.requireConnected();
    const workers = this.#select(selector, op);
    return Promise.all(workers.map((worker) => this.#askOne(selector.pool, worker, op, signal)));
  }

  async #askOne(pool: string, worker: string, op: WorkerOp, signal: AbortSignal | undefined): Promise<Heartbeat> {
    const limitMs = op.op === "drain" && op.wait ? DRAIN_LIMIT_MS : ANSWER_LIMIT_MS;
    const response = await askControl(this.#bus, this.#pools, {
      pool,
      worker,
      ...toRequest(op),
      limitMs,
      ...(signal ? { signal } : {}),
    });
    return response.worker ?? this.#lastHeartbeat(pool, worker);
  }

  /** A worker in another language may answer with nothing: it has done it, and its heartbeat tells the rest. */
  #lastHeartbeat(pool: string, worker: string): Heartbeat {
    const listed = this.#pools.find(pool)?.list.get(worker);
    return listed?.heartbeat ?? create(HeartbeatSchema, { pool, worker });
  }

  #select(selector: Selector, op: WorkerOp): string[] {
    const pool = this.#pools.find(selector.pool);
    if (selector.worker !== "") return [checkName("worker", selector.worker)];
    if (!pool?.isKnown) throw this.#pools.unknown(selector.pool);
    const heartbeats = [...pool.list.all()].map(({ heartbeat }) => heartbeat);
    const { matching, chosen } = selectWorkers(heartbeats, { labels: selector.labels, count: selector.count }, op.op);
    if (matching.length === 0) throw new PoolError("not_found", "no worker matches", { field: "worker" });
    return chosen.map(({ worker }) => worker);
  }
}

function toRequest(op: WorkerOp): { request: NonNullable<MessageInitShape<typeof ControlRequestSchema>["op"]> } {
  switch (op.op) {
    case "drain":
      return { request: { case: "drain", value: { wait: op.wait } } };
    case "resize":
      return { request: { case: "resize", value: { slots: op.slots } } };
    case "pause":
      return { request: { case: "pause", value: {} } };
    case "resume":
      return { request: { case: "resume", value: {} } };
  }
}
