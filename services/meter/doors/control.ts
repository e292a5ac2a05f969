/**
 * Control through the meter: drain, pause, resume one worker.
 *
 * Decided here: who may control workers. A request is refused unless the meter was
 * started with control enabled and a token, and the caller sends that token. Tokens are
 * compared by their digests in constant time. A wrong token is logged with its source, never
 * with its text, and a source of wrong tokens has to wait (guesses.ts).
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
import type { Logger } from "../../../mesh/process/log.js";
import { checkName, type Subjects } from "../../../mesh/wire/subjects.js";
import { Guesses } from "./guesses.js";

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
  /** What callers must bear; undefined: control is not enabled. */
  readonly token: string | undefined;
  /** The connection, once there is one. */
  readonly line: () => ControlLine | undefined;
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** Who asks for control. */
export interface ControlCaller {
  /** The Authorization header. */
  readonly authorization: string | null;
  /** The address that the request came from. */
  readonly source: string;
}

/** Passes control requests on to workers. */
export class WorkerControl {
  readonly #parts: ControlParts;
  readonly #guesses = new Guesses();

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  get enabled(): boolean {
    return this.#parts.token !== undefined;
  }

  /**
   * Does what is asked, when the caller may ask it.
   *
   * @throws PoolError `permission_denied`, `unauthenticated`, `invalid_argument`, `not_found`,
   * `deadline_exceeded`, `bus_unavailable`, or what the worker refused
   */
  async control(
    request: ControlWorkerRequest,
    caller: ControlCaller,
    signal: AbortSignal,
  ): Promise<ControlWorkerResponse> {
    this.#authorize(caller);
    const pool = checkName("pool", request.pool);
    const worker = checkName("worker", request.worker);
    const question = { pool, worker, request: toOp(request.op), limitMs: ANSWER_LIMIT_MS, signal };
    const line = this.#parts.line();
    if (line === undefined) throw new PoolError("bus_unavailable", "not connected to the broker");
    const answer = await askControl(line.bus, line, question);
    return create(ControlWorkerResponseSchema, answer.worker === undefined ? {} : { worker: answer.worker });
  }

  #authorize({ authorization, source }: ControlCaller): void {
    const { token, nowMs, log } = this.#parts;
    if (token === undefined) {
      throw new PoolError("permission_denied", "this meter is read-only: start it with control and a token");
    }
    const waitMs = this.#guesses.waitMs(source, nowMs());
    if (waitMs > 0) throw unauthenticated("too many wrong tokens from this address: wait", waitMs);
    const said = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? "")?.[1];
    if (said !== undefined && sameSecret(said, token)) return this.#guesses.right(source);
    // A header that bears no token can never be right: it is a mistake and no guess.
    if (said !== undefined) {
      log.warn({ source, wrong: this.#guesses.wrong(source, nowMs()) }, "a control request with a wrong token");
    }
    throw unauthenticated("send the meter's control token as a bearer token");
  }
}

function unauthenticated(why: string, retryAfterMs?: number): PoolError {
  const more = retryAfterMs === undefined ? {} : { retryAfterMs, retryable: true };
  return new PoolError("unauthenticated", `authorization: ${why}`, { field: "authorization", ...more });
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
