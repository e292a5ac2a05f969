/**
 * Many jobs of one pool through a manager's HTTP interface: one SubmitMany stream.
 *
 * A stream that breaks is opened again by the next job. What was sent on the broken
 * one may have run, so it ends with `maybeExecuted`; what was not sent yet may be
 * started again.
 */
import { randomUUID } from "node:crypto";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { ManagerService, type SubmitManyResponse } from "../../gen/poolmesh/v1/manager_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { JobResult, type Outcome, type SubmitOptions } from "../../mesh/job/job.js";
import { fromErrorDetail, jobFactsOf } from "../../mesh/wire/connect-errors.js";
import { JobStream, type JobStreamPorts } from "./job-stream.js";
import { remoteFailure } from "./remote-failure.js";
import type { RemoteFlags } from "./remote-options.js";
import { toRequest } from "./remote-submit.js";
import { remoteTransport } from "./transport.js";

/** How long the manager may take to be reached, in milliseconds. */
const REACH_LIMIT_MS = 5_000;
/** Refusals that come before the first job is read. */
const REFUSED_UNREAD = new Set([Code.Unauthenticated, Code.PermissionDenied, Code.Unimplemented]);

type OnOutcome = (outcome: Outcome) => void;

export class RemoteJobs {
  readonly #url: string;
  readonly #pool: string;
  readonly #manager: Client<typeof ManagerService>;
  #stream: JobStream | undefined;

  /** @throws PoolError `invalid_argument` naming a flag */
  constructor(url: string, flags: RemoteFlags, pool: string) {
    this.#url = url;
    this.#pool = pool;
    this.#manager = createClient(ManagerService, remoteTransport(url, "url", flags, { httpVersion: "2" }));
  }

  /** Resolves when the manager answers. @throws PoolError `bus_unavailable`, `unauthenticated`, `permission_denied` */
  async reach(): Promise<void> {
    try {
      await this.#manager.listWorkers({ pool: this.#pool }, { timeoutMs: REACH_LIMIT_MS });
    } catch (error) {
      const failure = remoteFailure(error, this.#url);
      if (failure.reason === "deadline_exceeded") {
        throw new PoolError("bus_unavailable", `no answer from ${new URL(this.#url).origin}`, { cause: error });
      }
      if (failure.reason !== "unknown_pool") throw failure;
    }
  }

  /** Starts one job and returns its id; `onOutcome` hears its end exactly once. */
  detachSubmit(payload: Uint8Array, options: SubmitOptions & { onOutcome?: OnOutcome }): string {
    const id = options.id ?? randomUUID();
    const { onOutcome = () => undefined, timeoutMs = 0, waitForPool = false } = options;
    const job = toRequest({ pool: this.#pool, payload, options: { ...options, id, timeoutMs }, waitForPool });
    this.#stream ??= this.#open();
    this.#stream.send(job, {
      onAnswer: (answer) => onOutcome(toOutcome(id, answer)),
      onBroken: (error) => onOutcome({ ok: false, id, error, worker: "", attempt: 0 }),
    });
    return id;
  }

  /** @throws PoolError `not_found` when nobody has it */
  async cancel(jobId: string): Promise<void> {
    await this.#manager.cancel({ pool: this.#pool, jobId }, { timeoutMs: REACH_LIMIT_MS });
  }

  close(): void {
    this.#stream?.close();
  }

  #open(): JobStream {
    const ports: JobStreamPorts = {
      call: (requests, signal) => this.#manager.submitMany(requests, { signal }),
      failureOf: (thrown, wasSent) => this.#failureOf(thrown, wasSent),
      onEnd: () => {
        if (this.#stream === stream) this.#stream = undefined;
      },
    };
    const stream = new JobStream(ports);
    void stream.run();
    return stream;
  }

  #failureOf(thrown: unknown, wasSent: boolean): PoolError {
    const { code } = ConnectError.from(thrown);
    const failure = thrown === undefined ? undefined : remoteFailure(thrown, this.#url);
    if (failure !== undefined && REFUSED_UNREAD.has(code)) return failure;
    const isAway = failure?.reason === "bus_unavailable" && /no manager at|is not trusted/.test(failure.message);
    const text = isAway ? failure.message : `the stream to ${new URL(this.#url).origin} ended`;
    return new PoolError("bus_unavailable", text, { maybeExecuted: wasSent && !isAway, cause: thrown });
  }
}

function toOutcome(id: string, { outcome }: SubmitManyResponse): Outcome {
  if (outcome.case === "result") {
    const { output, worker, attempt, waitMs, totalMs } = outcome.value;
    const payload = output.case === "payload" ? output.value : new Uint8Array();
    return { ok: true, id, result: new JobResult(id, payload, worker, attempt, waitMs, totalMs) };
  }
  const error =
    outcome.case === "error"
      ? fromErrorDetail(outcome.value)
      : new PoolError("internal", "an answer without an outcome");
  const { worker = "", attempt = 0, waitMs = undefined } = jobFactsOf(error) ?? {};
  return { ok: false, id, error, worker, attempt, ...(waitMs === undefined ? {} : { waitMs }) };
}
