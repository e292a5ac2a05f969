/** The batches of one pool through a manager's HTTP interface. */
import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Client, createClient } from "@connectrpc/connect";
import { fromBatchMessage } from "../../../client/durable/batches/rpc-batches.js";
import {
  type Batch,
  BatchSchema,
  DurableService,
  type EnqueueBatchRequest,
  EnqueueBatchRequestSchema,
} from "../../../gen/poolmesh/v1/durable_pb.js";
import type { BatchStatus } from "../../../mesh/durable/batches/batch-status.js";
import type { BatchPage, BatchPageOptions } from "../../../mesh/durable/batches/read-batches.js";
import { PROTO_PRIORITIES } from "../../../mesh/job/proto-priorities.js";
import type { Shell } from "../../shell.js";
import type { BatchSource, NewBatchOptions } from "../../sources/durable.js";
import { within } from "../remote-calls.js";
import type { RemoteFlags } from "../remote-options.js";
import { managerTransport } from "../transport.js";

/** Jobs of one call, and their bytes. */
const JOBS_PER_CALL = 500;
const BYTES_PER_CALL = 512 * 1_024;

export class RemoteBatches implements BatchSource {
  readonly #url: string;
  readonly #pool: string;
  readonly #service: Client<typeof DurableService>;

  /** @throws PoolError `invalid_argument` naming a flag */
  constructor(shell: Shell, url: string, flags: RemoteFlags, pool: string) {
    this.#url = url;
    this.#pool = pool;
    this.#service = createClient(DurableService, managerTransport(shell, url, flags));
  }

  async list({ limit = 0, after = 0, openOnly = false }: BatchPageOptions): Promise<BatchPage> {
    const request = { pool: this.#pool, pageSize: limit, pageToken: after === 0 ? "" : String(after), openOnly };
    const answer = await within(this.#url, (options) => this.#service.listBatches(request, options));
    const next = answer.nextPageToken === "" ? undefined : Number(answer.nextPageToken);
    return { batches: answer.batches.map(fromBatchMessage), next };
  }

  async get(batchId: string): Promise<BatchStatus> {
    const request = { pool: this.#pool, batchId };
    return told(await within(this.#url, (options) => this.#service.getBatch(request, options)));
  }

  async enqueue(payloads: AsyncIterable<Uint8Array>, options: NewBatchOptions): Promise<BatchStatus> {
    const request = toRequest(this.#pool, options);
    let bytes = 0;
    for await (const payload of payloads) {
      const isFull = request.jobs.length >= JOBS_PER_CALL || bytes + payload.length > BYTES_PER_CALL;
      if (isFull && request.jobs.length > 0) {
        await this.#call({ ...request, more: true });
        request.firstIndex += request.jobs.length;
        request.jobs = [];
        bytes = 0;
      }
      request.jobs.push({ $typeName: "poolmesh.v1.BatchJob", input: { case: "payload", value: payload }, jobId: "" });
      bytes += payload.length;
    }
    return this.#call(request);
  }

  async #call(request: EnqueueBatchRequest): Promise<BatchStatus> {
    return told(await within(this.#url, (options) => this.#service.enqueueBatch(request, options)));
  }
}

function toRequest(pool: string, options: NewBatchOptions): EnqueueBatchRequest {
  const {
    id,
    onComplete,
    context,
    priority,
    timeoutMs = 0,
    maxAttempts = 0,
    concurrencyKey = "",
    client = "",
  } = options;
  return create(EnqueueBatchRequestSchema, {
    pool,
    batchId: id,
    onComplete: { pool: onComplete.pool, jobId: onComplete.id ?? "" },
    ...(context === undefined ? {} : { context: fromJson(ValueSchema, context as JsonValue) }),
    ...(priority === undefined ? {} : { priority: PROTO_PRIORITIES[priority] }),
    timeoutMs: BigInt(timeoutMs),
    maxAttempts,
    concurrencyKey,
    client,
  });
}

function told({ batch }: { readonly batch?: Batch | undefined }): BatchStatus {
  return fromBatchMessage(batch ?? create(BatchSchema, {}));
}
