/** The calls of a typed pool at a client: those of every typed pool, and the durable ones. */

import type { PoolError } from "../mesh/errors.js";
import type { JobResult, Outcome } from "../mesh/job/job.js";
import type { PayloadOf, PoolDefinition, ValueOf } from "../mesh/job/pool-definition.js";
import { encodePayload } from "../mesh/job/pool-definition.js";
import {
  type TypedOutcome,
  TypedPool,
  type TypedPoolPort,
  type TypedResult,
  typedOutcome,
  typedResult,
} from "../mesh/job/typed-pool.js";
import type { BatchOptions } from "./durable/batches/batch-options.js";
import type { BatchReceipt } from "./durable/batches/batch-receipt.js";
import type { ClientLane, EnqueueManyOptions } from "./durable/client-lane.js";
import type { EnqueueOptions } from "./durable/enqueue-options.js";
import type { WaitOptions } from "./durable/outcome-wait.js";
import { Receipt } from "./durable/receipt.js";

/** The receipt of a durable job of a typed pool. */
export class TypedReceipt<D extends PoolDefinition> extends Receipt {
  readonly #definition: D;
  readonly #receipt: Receipt;

  constructor(definition: D, receipt: Receipt) {
    const wait = async (options: WaitOptions): Promise<Outcome> => {
      return { ok: true, id: receipt.id, result: await receipt.result(options) };
    };
    super(receipt, { wait, now: () => 0 });
    this.#definition = definition;
    this.#receipt = receipt;
  }

  /**
   * The result of the job. It may be asked for at any time, and more than once.
   *
   * @throws PoolError as of every receipt; `job_failed` with code "schema.result" when the result does not fit
   */
  override async result(options: WaitOptions = {}): Promise<TypedResult<ValueOf<D>>> {
    return typedResult(this.#definition, await super.result(options));
  }

  /** As of every receipt: what follows may be of another pool, so it is not typed. */
  override last(options: WaitOptions = {}): Promise<JobResult> {
    return this.#receipt.last(options);
  }
}

/** One durable job of a stream of jobs, with its place in that stream, from 0. */
export type TypedEnqueued<D extends PoolDefinition> =
  | { readonly index: number; readonly ok: true; readonly receipt: TypedReceipt<D> }
  | { readonly index: number; readonly ok: false; readonly error: PoolError };

/** The calls of one typed pool, as `client.for(definition)` gives them. */
export class TypedClientPool<D extends PoolDefinition> extends TypedPool<D> {
  readonly #lane: () => ClientLane;

  /** @internal */
  constructor(definition: D, port: TypedPoolPort, lane: () => ClientLane) {
    super(definition, port);
    this.#lane = lane;
  }

  /**
   * Stores a job in the pool's stream.
   *
   * @throws PoolError `invalid_argument` with code "schema.input" when the value does not fit; else as Client.enqueue()
   */
  async enqueue(value: PayloadOf<D>, options: EnqueueOptions = {}): Promise<TypedReceipt<D>> {
    const payload = await encodePayload(this.definition, value);
    return new TypedReceipt(this.definition, await this.#lane().enqueue(payload, options));
  }

  /** Stores a stream of jobs with back-pressure, in the order of the values. Failures are told in their place. */
  async *enqueueMany(
    values: Iterable<PayloadOf<D>> | AsyncIterable<PayloadOf<D>>,
    options: EnqueueManyOptions = {},
  ): AsyncGenerator<TypedEnqueued<D>> {
    const encode = (value: PayloadOf<D>): Promise<Uint8Array> => encodePayload(this.definition, value);
    for await (const each of this.#lane().enqueueMany(values, options, encode)) {
      yield each.ok ? { ...each, receipt: new TypedReceipt(this.definition, each.receipt) } : each;
    }
  }

  /** Stores the jobs of a batch, as Client.enqueueBatch(). The completion job may be of another pool, so it is not typed. */
  enqueueBatch(
    values: Iterable<PayloadOf<D>> | AsyncIterable<PayloadOf<D>>,
    options: BatchOptions,
  ): Promise<BatchReceipt> {
    const encode = (value: PayloadOf<D>): Promise<Uint8Array> => encodePayload(this.definition, value);
    return this.#lane().enqueueBatch(values, options, encode);
  }

  /**
   * The outcome of a durable job, as Client.outcome().
   *
   * @param options `waitMs`: how long to wait for it, in milliseconds; default 0
   * @returns undefined when the job is live
   * @throws PoolError `not_found` when no live job has this id and no outcome is kept
   */
  async outcome(
    id: string,
    { waitMs = 0 }: { readonly waitMs?: number } = {},
  ): Promise<TypedOutcome<ValueOf<D>> | undefined> {
    const outcome = await this.#lane().outcome(id, waitMs);
    return outcome && typedOutcome(this.definition, outcome);
  }
}
