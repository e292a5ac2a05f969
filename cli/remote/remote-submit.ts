/** One job through a manager's HTTP interface, for those who have no connection to the broker. */
import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { ManagerService, type SubmitResponse } from "../../gen/poolmesh/v1/manager_pb.js";
import { toPoolError } from "../../mesh/errors.js";
import type { SubmitOptions } from "../../mesh/job/job.js";
import { PROTO_PRIORITIES } from "../../mesh/job/proto-priorities.js";
import { jobFactsOf } from "../../mesh/wire/connect-errors.js";
import type { JobEnd } from "../jobs/one-job.js";
import type { RemoteFlags } from "./remote-options.js";
import { unlessSilent } from "./silence.js";
import { remoteTransport } from "./transport.js";

/** Time on top of the job's own, in milliseconds: the manager ends it and says why. */
const SLACK_MS = 2_000;

/** A job, and where it goes. */
export interface RemoteJob {
  readonly url: string;
  readonly flags: RemoteFlags;
  readonly pool: string;
  readonly payload: Uint8Array;
  readonly options: SubmitOptions & { readonly timeoutMs: number };
  readonly waitForPool: boolean;
}

/** Runs it. How it ends is an outcome too. @throws PoolError `invalid_argument` for the flags */
export async function submitRemote(job: RemoteJob): Promise<JobEnd> {
  // an id of our own: without an answer the job can still be looked up and cancelled
  const options = { ...job.options, id: job.options.id ?? randomUUID() };
  const transport = remoteTransport(job.url, "url", job.flags);
  const manager = createClient(ManagerService, transport);
  const begunAt = performance.now();
  const timeoutMs = options.timeoutMs + SLACK_MS;
  const request = toRequest({ ...job, options });
  const to = { transport, url: job.url, signal: options.signal };
  try {
    return toEnd(await unlessSilent(to, (signal) => manager.submit(request, { timeoutMs, signal })));
  } catch (thrown) {
    const totalMs = performance.now() - begunAt;
    const error = toPoolError(thrown);
    const { jobId: _, ...facts } = jobFactsOf(error) ?? { jobId: "", worker: "", attempt: 0, waitMs: totalMs, totalMs };
    return { id: options.id, payload: undefined, error, ...facts };
  }
}

/** A job as the manager takes it. */
export function toRequest({
  pool,
  payload,
  options,
  waitForPool,
}: Pick<RemoteJob, "pool" | "payload" | "options" | "waitForPool">) {
  return {
    pool,
    jobId: options.id ?? "",
    input: { case: "payload", value: payload },
    timeoutMs: BigInt(options.timeoutMs),
    idempotent: options.idempotent ?? false,
    noWait: options.wait === false,
    waitForPool,
    priority: PROTO_PRIORITIES[options.priority ?? "normal"],
    client: options.client ?? "",
    traceparent: options.traceparent ?? "",
    tracestate: options.tracestate ?? "",
  } as const;
}

function toEnd({ jobId, output, worker, attempt, waitMs, totalMs }: SubmitResponse): JobEnd {
  const payload = output.case === "payload" ? output.value : new Uint8Array();
  return { id: jobId, payload, error: undefined, worker, attempt, waitMs, totalMs };
}
