/**
 * Control through the meter: drain, pause, resume one worker.
 *
 * Decided here: a meter that was not started with control refuses everybody. Not decided
 * here: who may control workers (mesh/auth).
 */
import { create } from "@bufbuild/protobuf";
import {
  type ControlWorkerRequest,
  type ControlWorkerResponse,
  ControlWorkerResponseSchema,
  WorkerOp,
} from "../../../gen/poolmesh/v1/meter_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { askControl, type ControlQuestion } from "../../../mesh/link/ask-control.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { checkName, type Subjects } from "../../../mesh/wire/subjects.js";

/** How long a worker has to answer, in milliseconds. */
const ANSWER_LIMIT_MS = 2_000;

/** The connection that control requests go out on. */
export interface ControlLine {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
}

/** What control needs. */
export interface ControlParts {
  /** Whether the meter takes control requests at all. */
  readonly enabled: boolean;
  /** The connection, once there is one. */
  readonly line: () => ControlLine | undefined;
}

/** Passes control requests on to workers. */
export class WorkerControl {
  readonly #parts: ControlParts;

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  get enabled(): boolean {
    return this.#parts.enabled;
  }

  /**
   * Does what is asked.
   *
   * @throws PoolError `permission_denied`, `invalid_argument`, `not_found`, `deadline_exceeded`,
   * `bus_unavailable`, or what the worker refused
   */
  async control(request: ControlWorkerRequest, signal: AbortSignal): Promise<ControlWorkerResponse> {
    if (!this.enabled) throw new PoolError("permission_denied", "this meter is read-only: start it with --control");
    const pool = checkName("pool", request.pool);
    const worker = checkName("worker", request.worker);
    const question = { pool, worker, request: toOp(request.op), limitMs: ANSWER_LIMIT_MS, signal };
    const line = this.#parts.line();
    if (line === undefined) throw new PoolError("bus_unavailable", "not connected to the broker");
    const answer = await askControl(line.bus, line, question);
    return create(ControlWorkerResponseSchema, answer.worker === undefined ? {} : { worker: answer.worker });
  }
}

function toOp(op: WorkerOp): ControlQuestion["request"] {
  switch (op) {
    case WorkerOp.DRAIN:
      return { case: "drain", value: {} };
    case WorkerOp.PAUSE:
      return { case: "pause", value: {} };
    case WorkerOp.RESUME:
      return { case: "resume", value: {} };
    default:
      throw new PoolError("invalid_argument", "op: use WORKER_OP_DRAIN, WORKER_OP_PAUSE or WORKER_OP_RESUME", {
        field: "op",
      });
  }
}
