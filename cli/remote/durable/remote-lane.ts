/** Stored jobs and their lanes through a manager's HTTP interface, for those who have no connection to the broker. */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Client, createClient } from "@connectrpc/connect";
import type { JobPage, JobPageOptions } from "../../../client/durable/job-list.js";
import type { JobLookup } from "../../../client/durable/job-reads.js";
import { JOB_STATES } from "../../../client/durable/job-states.js";
import {
  DurableService,
  type JobOutcome,
  JobState,
  type JobStatus,
  type LanePause as LanePauseMessage,
  LanePauseSchema,
  PayloadForm,
} from "../../../gen/poolmesh/v1/durable_pb.js";
import type { LanePause } from "../../../mesh/durable/pause/lane-pause.js";
import type { LanesView } from "../../../mesh/durable/shown/lanes-view.js";
import { PoolError } from "../../../mesh/errors.js";
import { JobResult, type Outcome } from "../../../mesh/job/job.js";
import { keyOf, PROTO_PRIORITIES } from "../../../mesh/job/proto-priorities.js";
import { fromErrorDetail } from "../../../mesh/wire/connect-errors.js";
import type { LaneSource } from "../../sources/durable.js";
import { within } from "../remote-calls.js";
import type { RemoteFlags } from "../remote-options.js";
import { remoteTransport } from "../transport.js";

export class RemoteLane implements LaneSource {
  readonly #url: string;
  readonly #service: Client<typeof DurableService>;

  /** @throws PoolError `invalid_argument` naming a flag */
  constructor(url: string, flags: RemoteFlags, ownToken?: string) {
    this.#url = url;
    const options = ownToken === undefined ? {} : { ownToken };
    this.#service = createClient(DurableService, remoteTransport(url, "url", flags, options));
  }

  async page(pool: string, { state, limit = 0, after = 0 }: JobPageOptions): Promise<JobPage> {
    const request = {
      pool,
      state: state === undefined ? JobState.UNSPECIFIED : JOB_STATES[state],
      pageSize: limit,
      pageToken: after === 0 ? "" : String(after),
    };
    const { jobs, nextPageToken } = await within(this.#url, (options) => this.#service.listJobs(request, options));
    return { jobs: jobs.map(toLookup), next: nextPageToken === "" ? undefined : Number(nextPageToken) };
  }

  async lookup(pool: string, jobId: string): Promise<JobLookup> {
    const request = { pool, jobId, form: PayloadForm.BYTES };
    const { job, outcome } = await within(this.#url, (options) => this.#service.getJob(request, options));
    if (job === undefined) throw new PoolError("internal", "an answer without a job");
    const ended = outcome === undefined ? undefined : toOutcome(job, outcome);
    return { ...toLookup(job), ...(ended === undefined ? {} : { outcome: ended }) };
  }

  async pause(pool: string, forMs: number | undefined): Promise<LanePause> {
    const request = { pool, forMs: BigInt(forMs ?? 0) };
    const { paused } = await within(this.#url, (options) => this.#service.pausePool(request, options));
    return toPause(paused ?? create(LanePauseSchema));
  }

  async resume(pool: string): Promise<void> {
    await within(this.#url, (options) => this.#service.resumePool({ pool }, options));
  }

  async lanes(pool: string | undefined): Promise<LanesView> {
    const answer = await within(this.#url, (options) => this.#service.getLanes({ pool: pool ?? "" }, options));
    return {
      lanes: answer.lanes.map(({ pool: name, queued, delivered, limited, dead, scheduled, oldestAt, paused }) => ({
        pool: name,
        queued: Number(queued),
        delivered: Number(delivered),
        dead: Number(dead),
        scheduled: Number(scheduled),
        ...(limited === undefined ? {} : { limited: Number(limited) }),
        paused: paused && toPause(paused),
        oldestAt: oldestAt === undefined ? undefined : timestampDate(oldestAt),
      })),
      streams: answer.streams.map(({ name, messages, maxMessages, bytes, maxBytes, replicas, differences }) => ({
        name,
        messages: Number(messages),
        maxMessages: Number(maxMessages),
        bytes: Number(bytes),
        maxBytes: Number(maxBytes),
        replicas,
        differences,
      })),
    };
  }
}

function toPause({ levels, until }: LanePauseMessage): LanePause {
  return {
    levels: levels.map((level) => keyOf(PROTO_PRIORITIES, level)).filter((level) => level !== undefined),
    until: until && timestampDate(until),
  };
}

function toLookup(job: JobStatus): JobLookup {
  const { jobId: id, attempt, maxAttempts, worker, sequence, runAt, enqueuedAt, endedAt, client, then } = job;
  const priority = keyOf(PROTO_PRIORITIES, job.priority);
  return {
    id,
    state: keyOf(JOB_STATES, job.state) ?? "queued",
    attempt,
    worker,
    sequence: Number(sequence),
    client,
    ...(maxAttempts === 0 ? {} : { maxAttempts }),
    ...(then.length === 0 ? {} : { then: then.map(({ pool, jobId }) => ({ pool, id: jobId || undefined })) }),
    ...(priority === undefined ? {} : { priority }),
    ...(runAt === undefined ? {} : { runAt: timestampDate(runAt) }),
    ...(enqueuedAt === undefined ? {} : { enqueuedAt: timestampDate(enqueuedAt) }),
    ...(endedAt === undefined ? {} : { endedAt: timestampDate(endedAt) }),
  };
}

/** An outcome whose result came as bytes. */
export function toOutcome(
  { jobId: id, worker, attempt, next: said }: JobStatus,
  { outcome }: JobOutcome,
): Outcome | undefined {
  if (outcome.case === "error") return { ok: false, id, error: fromErrorDetail(outcome.value), worker, attempt };
  if (outcome.case !== "result") return undefined;
  const { output, waitMs, totalMs } = outcome.value;
  const next = said && { pool: said.pool, id: said.jobId };
  const payload = output.case === "payload" ? output.value : new Uint8Array();
  return { ok: true, id, result: new JobResult(id, payload, worker, attempt, waitMs, totalMs, next) };
}
