/**
 * Dead letters and lanes for callers over Connect, gRPC and gRPC-Web, at managers and
 * meters: pages, and changes of a bounded number at once.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type DeadChange,
  DeadChangeSchema,
  type DeadLetter as DeadLetterMessage,
  DeadLetterSchema,
  type DeadSelector,
  type ListDeadRequest,
  type ListDeadResponse,
  ListDeadResponseSchema,
} from "../../gen/poolmesh/v1/durable_pb.js";
import { isReason, PoolError, toPoolError } from "../../mesh/errors.js";
import { PROTO_PRIORITIES } from "../../mesh/job/proto-priorities.js";
import type { Runtime } from "../../mesh/link/runtime.js";
import { toErrorDetail } from "../../mesh/wire/connect-errors.js";
import type { DeadFilter, DeadLetter, DeadLetters } from "./dead-letters.js";
import { checkPageSize, MAX_PAGE } from "./job-reads.js";

const DEFAULT_PAGE = 100;
/** A call that reads or changes longer ends where it is, in milliseconds. */
const CALL_LIMIT_MS = 5_000;

/**
 * One page, oldest first.
 *
 * @param told what the caller may know of a letter
 * @throws PoolError `invalid_argument`, `bus_unavailable`
 */
export async function listDead(
  dead: DeadLetters,
  request: ListDeadRequest,
  runtime: Runtime,
  signal: AbortSignal,
  told: (letter: DeadLetterMessage) => DeadLetterMessage,
): Promise<ListDeadResponse> {
  const size = checkPageSize("page_size", request.pageSize === 0 ? DEFAULT_PAGE : request.pageSize);
  const filter = { ...toFilter(request), after: fromPageToken(request.pageToken), limit: size };
  const endAtMs = runtime.now() + CALL_LIMIT_MS;
  const response = create(ListDeadResponseSchema, {});
  for await (const { letter, isMeant } of dead.scan(filter)) {
    if (isMeant) response.letters.push(told(toDeadLetter(letter)));
    if (response.letters.length < size && runtime.now() < endAtMs && !signal.aborted) continue;
    response.nextPageToken = String(letter.sequence);
    return response;
  }
  return response;
}

/** What became of the letters that were meant. */
export interface Changed {
  readonly changes: DeadChange[];
  /** More are meant than one call takes. */
  readonly more: boolean;
}

/**
 * Changes the letters that are there when it begins.
 *
 * @param change gives the sequence of a job that runs again, or 0
 * @throws PoolError `invalid_argument`, `bus_unavailable`
 */
export async function changeDead(
  dead: DeadLetters,
  selector: DeadSelector | undefined,
  change: (id: string) => Promise<number>,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<Changed> {
  const { ids, isCut } = await meant(dead, selector);
  const endAtMs = runtime.now() + CALL_LIMIT_MS;
  const changes: DeadChange[] = [];
  for (const id of ids) {
    if (runtime.now() >= endAtMs || signal.aborted) return { changes, more: true };
    changes.push(await changed(id, change));
  }
  return { changes, more: isCut };
}

export function toDeadLetter(letter: DeadLetter): DeadLetterMessage {
  const { id, sequence, error, attempt, priority, diedAt, client, payload } = letter;
  return create(DeadLetterSchema, {
    jobId: id,
    sequence: BigInt(sequence),
    error: toErrorDetail(error),
    attempt,
    priority: PROTO_PRIORITIES[priority],
    diedAt: timestampFromDate(diedAt),
    client,
    payloadBytes: BigInt(payload.length),
  });
}

/** Where the last page ended; 0 for the first one. @throws PoolError `invalid_argument` */
export function fromPageToken(token: string): number {
  if (token === "") return 0;
  const after = /^\d{1,16}$/.test(token) ? Number(token) : Number.NaN;
  if (Number.isSafeInteger(after)) return after;
  throw new PoolError("invalid_argument", "page_token: use the next_page_token of the last page", {
    field: "page_token",
  });
}

async function changed(jobId: string, change: (id: string) => Promise<number>): Promise<DeadChange> {
  try {
    return create(DeadChangeSchema, { jobId, sequence: BigInt(await change(jobId)) });
  } catch (thrown) {
    return create(DeadChangeSchema, { jobId, error: toErrorDetail(toPoolError(thrown)) });
  }
}

async function meant(
  dead: DeadLetters,
  selector: DeadSelector | undefined,
): Promise<{ readonly ids: readonly string[]; readonly isCut: boolean }> {
  if (selector === undefined) throw refused("selector", "missing");
  const { jobIds, reason, olderThanMs, all } = selector;
  const limit = checkPageSize("limit", selector.limit === 0 ? MAX_PAGE : selector.limit);
  if (jobIds.length > limit) throw refused("job_ids", `name ${limit} at most`);
  if (jobIds.length > 0) return { ids: jobIds, isCut: false };
  if (reason === "" && olderThanMs === 0n && !all) {
    throw refused("selector", 'name job_ids, a reason or older_than_ms, or say "all": true');
  }
  const ids: string[] = [];
  for await (const { id } of dead.list({ ...toFilter(selector), limit: limit + 1 })) ids.push(id);
  return { ids: ids.slice(0, limit), isCut: ids.length > limit };
}

function toFilter({ reason, olderThanMs }: { reason: string; olderThanMs: bigint }): DeadFilter {
  if (reason !== "" && !isReason(reason)) throw refused("reason", 'use one of the catalogue, such as "job_failed"');
  return { ...(reason === "" ? {} : { reason }), olderThanMs: Number(olderThanMs) };
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
