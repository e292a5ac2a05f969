/**
 * Control through the meter: drain, pause, resume one worker.
 *
 * Decided here: who may. Refused unless the meter was started with control
 * enabled and a token, and the caller bears that token; both are compared by
 * their digests in constant time.
 */
import { createHash, timingSafeEqual } from "node:crypto";
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
import { checkName } from "../../../mesh/names.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";

/** How long a worker has to answer, in milliseconds. */
const ANSWER_LIMIT_MS = 2_000;

/** The connection that control requests go out on. */
export interface ControlLine {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
}

/** Passes control requests on to workers. */
export class WorkerControl {
  readonly #token: string | undefined;
  readonly #line: () => ControlLine | undefined;

  /**
   * @param token what callers must bear; undefined: control is not enabled
   * @param line the connection, once there is one
   */
  constructor(token: string | undefined, line: () => ControlLine | undefined) {
    this.#token = token;
    this.#line = line;
  }

  get enabled(): boolean {
    return this.#token !== undefined;
  }

  /**
   * @param authorization the Authorization header
   * @throws PoolError `permission_denied`, `unauthenticated`, `invalid_argument`, `not_found`,
   * `deadline_exceeded`, `bus_unavailable`, or what the worker refused
   */
  async control(
    request: ControlWorkerRequest,
    authorization: string | null,
    signal: AbortSignal,
  ): Promise<ControlWorkerResponse> {
    this.#authorize(authorization);
    const pool = checkName("pool", request.pool);
    const worker = checkName("worker", request.worker);
    const question = { pool, worker, request: toOp(request.op), limitMs: ANSWER_LIMIT_MS, signal };
    const line = this.#line();
    if (line === undefined) throw new PoolError("bus_unavailable", "not connected to the broker");
    const answer = await askControl(line.bus, line, question);
    return create(ControlWorkerResponseSchema, answer.worker === undefined ? {} : { worker: answer.worker });
  }

  #authorize(authorization: string | null): void {
    if (this.#token === undefined) {
      throw new PoolError("permission_denied", "this meter is read-only: start it with control and a token");
    }
    const said = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? "")?.[1];
    if (said === undefined || !sameSecret(said, this.#token)) {
      throw new PoolError("unauthenticated", "authorization: bear the meter's control token", {
        field: "authorization",
      });
    }
  }
}

function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(createHash("sha256").update(a).digest(), createHash("sha256").update(b).digest());
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
