/** Asks a manager to open or seal a batch, or how batches stand. To ask again changes nothing, so it is asked until it is answered. */
import type { BatchPlace } from "../../../mesh/durable/batches/batch-place.js";
import { type BatchStatus, readStatus } from "../../../mesh/durable/batches/batch-status.js";
import type { BatchPage, BatchPageOptions } from "../../../mesh/durable/batches/read-batches.js";
import { encodeDurableJob } from "../../../mesh/durable/job.js";
import type { DurableNames } from "../../../mesh/durable/names.js";
import { PoolError } from "../../../mesh/errors.js";
import { parseJson } from "../../../mesh/job/codec.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { delay } from "../../../mesh/link/runtime.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { askDoor } from "../ask-door.js";
import type { CheckedBatch } from "./batch-options.js";

/** What it works with. */
export interface AskBatchesParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly names: DurableNames;
}

/** A batch that is open, and which of its jobs have an outcome already. */
export interface OpenedBatch {
  readonly status: BatchStatus;
  readonly marks: Uint8Array;
}

/** How long to try to open or to seal by default, and the wait between two tries, in milliseconds. */
const DEFAULT_LIMIT_MS = 15_000;
const RETRY_MS = 250;
/** How long no manager may be there: one may be starting. */
const ABSENT_LIMIT_MS = 3_000;

/** @throws PoolError what the manager refuses, `unknown_pool`, `bus_unavailable` */
export async function openBatch(
  parts: AskBatchesParts,
  { id, completion, context, common }: CheckedBatch,
): Promise<OpenedBatch> {
  const said = context === "" ? {} : { context: parseJson(context) };
  const headers = encodeDurableJob({ ...common.job, then: [], enqueuedAt: undefined });
  headers.append(HEADER.priority, common.level);
  const answer = await ask(parts, { open: { id, onComplete: completion, ...said } }, common.limitMs, headers);
  const { batch, marks } = answer as { batch?: unknown; marks?: unknown };
  return { status: readStatus(batch), marks: Uint8Array.from(Buffer.from(String(marks ?? ""), "base64")) };
}

/** @throws PoolError as of openBatch() */
export async function sealBatch(
  parts: AskBatchesParts,
  id: BatchPlace["batch"],
  total: number,
  limitMs = DEFAULT_LIMIT_MS,
): Promise<BatchStatus> {
  return readStatus(((await ask(parts, { seal: { id, total } }, limitMs)) as { batch?: unknown }).batch);
}

/** @throws PoolError `not_found`, `unknown_pool`, `bus_unavailable` */
export async function askBatch(parts: AskBatchesParts, id: string): Promise<BatchStatus> {
  return readStatus(((await ask(parts, { get: id }, ABSENT_LIMIT_MS)) as { batch?: unknown }).batch);
}

/** @throws PoolError `unknown_pool`, `bus_unavailable` */
export async function askBatches(parts: AskBatchesParts, options: BatchPageOptions): Promise<BatchPage> {
  const { batches, next } = (await ask(parts, { list: options }, ABSENT_LIMIT_MS)) as Partial<BatchPage>;
  return { batches: (batches ?? []).map(readStatus), next };
}

async function ask(
  { bus, inbox, pool, names }: AskBatchesParts,
  what: object,
  limitMs: number,
  headers = wireHeaders(),
): Promise<unknown> {
  const { runtime } = bus;
  const begunAtMs = runtime.now();
  const question = { subject: names.batches(pool), payload: Buffer.from(JSON.stringify(what)), headers };
  for (;;) {
    try {
      return await askDoor({ bus, inbox, pool, what: "batches" }, question);
    } catch (thrown) {
      const reason = thrown instanceof PoolError ? thrown.reason : "internal";
      const sinceMs = runtime.now() - begunAtMs;
      const mayPass = bus.connected && (reason === "bus_unavailable" || reason === "draining");
      const mayCome = reason === "unknown_pool" && sinceMs < ABSENT_LIMIT_MS;
      if ((!mayPass && !mayCome) || sinceMs + RETRY_MS >= limitMs) throw thrown;
    }
    await delay(runtime, RETRY_MS);
  }
}
