/** One stored job through a manager's HTTP interface, and its receipt. */
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import type { EnqueueOptions } from "../../../client/durable/enqueue-options.js";
import type { WaitOptions } from "../../../client/durable/outcome-wait.js";
import { Receipt } from "../../../client/durable/receipt.js";
import { DurableService, PayloadForm } from "../../../gen/poolmesh/v1/durable_pb.js";
import { checkThen } from "../../../mesh/durable/after/then.js";
import { PoolError } from "../../../mesh/errors.js";
import type { NextJob, Outcome } from "../../../mesh/job/job.js";
import { PROTO_PRIORITIES } from "../../../mesh/job/proto-priorities.js";
import type { RemoteFlags } from "../remote-options.js";
import { unlessSilent } from "../silence.js";
import { remoteTransport } from "../transport.js";
import { toOutcome } from "./remote-lane.js";

/** How long the stream behind the manager may take, and the slack of a call that waits, in milliseconds. */
const ENQUEUE_LIMIT_MS = 20_000;
const SLACK_MS = 5_000;
/** One call waits so long at most, in milliseconds. */
const WAIT_MS = 30_000;

/** Stores a job. @throws PoolError what the manager refuses, `bus_unavailable`, `invalid_argument` for the flags */
export async function enqueueRemote(
  url: string,
  flags: RemoteFlags,
  pool: string,
  payload: Uint8Array,
  options: EnqueueOptions,
): Promise<Receipt> {
  const transport = remoteTransport(url, "url", flags);
  const service = createClient(DurableService, transport);
  const { enqueueTimeoutMs: timeoutMs = ENQUEUE_LIMIT_MS, ...said } = options;
  const request = toRequest(pool, payload, said);
  const answer = await unlessSilent({ transport, url }, (signal) => service.enqueue(request, { timeoutMs, signal }));
  const { jobId, sequence, duplicate } = answer;
  const runAt = answer.runAt && timestampDate(answer.runAt);
  const stored = { id: jobId, sequence: Number(sequence), duplicate, runAt };
  return new Receipt(stored, {
    wait: (options, next) => untilEnded(next ?? { pool, id: jobId }, options),
    now: () => performance.now(),
  });

  async function untilEnded(
    { pool: jobPool, id: jobId }: NextJob,
    { timeoutMs: limitMs, signal }: WaitOptions,
  ): Promise<Outcome> {
    const endAt = performance.now() + (limitMs ?? Number.POSITIVE_INFINITY);
    for (;;) {
      const leftMs = endAt - performance.now();
      if (leftMs <= 0) throw new PoolError("deadline_exceeded", `no outcome within ${limitMs} ms; the job goes on`);
      const waitMs = Math.ceil(Math.min(WAIT_MS, leftMs));
      const question = { pool: jobPool, jobId, waitMs, form: PayloadForm.BYTES };
      const { job, outcome } = await unlessSilent({ transport, url, signal }, (signal) =>
        service.waitOutcome(question, { timeoutMs: waitMs + SLACK_MS, signal }),
      );
      const ended = job === undefined || outcome === undefined ? undefined : toOutcome(job, outcome);
      if (ended !== undefined) return ended;
    }
  }
}

/** The request of a job. An option that is not written into it does not compile: left out, it would be lost in silence. */
function toRequest(pool: string, payload: Uint8Array, options: Omit<EnqueueOptions, "enqueueTimeoutMs">) {
  const { id = "", timeoutMs = 0, expiresInMs = 0, maxAttempts = 0, backoff, ...more } = options;
  const { runAt, delayMs, then, priority = "normal", concurrencyKey = "", client = "", ...rest } = more;
  const { idempotent = true, keepOutcome = true, rerun = false, traceparent = "", tracestate = "", ...left } = rest;
  return {
    ...(left satisfies Record<string, never>),
    pool,
    input: { case: "payload", value: payload },
    jobId: id,
    timeoutMs: BigInt(timeoutMs),
    expiresInMs: BigInt(expiresInMs),
    maxAttempts,
    priority: PROTO_PRIORITIES[priority],
    idempotent,
    keepOutcome,
    rerun,
    client,
    concurrencyKey,
    traceparent,
    tracestate,
    then: checkThen(then).map((step) => ({ pool: step.pool, jobId: step.id ?? "" })),
    ...(runAt === undefined ? {} : { runAt: timestampFromDate(new Date(runAt)) }),
    ...(delayMs === undefined ? {} : { delayMs: BigInt(delayMs) }),
    ...(backoff === undefined ? {} : { backoff: { baseMs: BigInt(backoff.baseMs), capMs: BigInt(backoff.capMs) } }),
  } as const;
}
