/**
 * The calls of a typed pool: values in, checked values out.
 *
 * Decided here: a payload that does not fit is refused before it leaves, and a
 * result that does not fit is a failed job. How a job is submitted is a matter
 * of the Client or Manager below.
 */
import { toPoolError } from "../errors.js";
import { type IndexedOutcome, JobResult, type Outcome, type SubmitManyOptions, type SubmitOptions } from "./job.js";
import { type FlowOutcome, jobFlow } from "./job-flow.js";
import {
  contractsOf,
  decodeResult,
  encodePayload,
  type PayloadOf,
  type PoolDefinition,
  type ValueOf,
} from "./pool-definition.js";
import type { PayloadStarter } from "./submit-many.js";

/** The result of one job of a typed pool. */
export class TypedResult<T> extends JobResult {
  /** @param value the payload, decoded and checked */
  constructor(
    { id, payload, worker, attempt, waitMs, totalMs }: JobResult,
    readonly value: T,
  ) {
    super(id, payload, worker, attempt, waitMs, totalMs);
  }
}

/** How one job of a typed pool ended. */
export type TypedOutcome<T> =
  | { readonly ok: true; readonly id: string; readonly result: TypedResult<T> }
  | Extract<Outcome, { readonly ok: false }>;

/** How one job of a typed pool is submitted. */
export interface TypedSubmitOptions extends Omit<SubmitOptions, "onProgress"> {
  /** Called with every progress value of the handler, in order: decoded as the output is, and not checked. */
  onProgress?: (value: unknown) => void;
}

/** What a typed pool needs of the Client or Manager that it belongs to. */
export interface TypedPoolPort extends PayloadStarter {
  submit(payload: Uint8Array, options: SubmitOptions): Promise<JobResult>;
}

/** The calls of one typed pool, as `client.for(definition)` and `manager.for(definition)` give them. */
export class TypedPool<D extends PoolDefinition> {
  readonly definition: D;
  readonly #port: TypedPoolPort;

  /** @internal */
  constructor(definition: D, port: TypedPoolPort) {
    this.definition = definition;
    this.#port = port;
  }

  /**
   * Runs one job.
   *
   * @throws PoolError `invalid_argument` with code "schema.input" when the value does not fit: nothing was sent.
   * `job_failed` with code "schema.result" when the result does not fit. Else as for a pool without types.
   */
  async submit(value: PayloadOf<D>, options: TypedSubmitOptions = {}): Promise<TypedResult<ValueOf<D>>> {
    const { onProgress, ...rest } = options;
    const payload = await encodePayload(this.definition, value);
    const told = onProgress && { onProgress: (bytes: Uint8Array) => onProgress(this.#decode(bytes)) };
    return typedResult(this.definition, await this.#port.submit(payload, { ...rest, ...told }));
  }

  /** Runs a stream of jobs with back-pressure. Failures are outcomes, a value that does not fit too. */
  async *submitMany(
    values: Iterable<PayloadOf<D>> | AsyncIterable<PayloadOf<D>>,
    options: SubmitManyOptions = {},
  ): AsyncGenerator<TypedOutcome<ValueOf<D>> & { readonly index: number; readonly input: PayloadOf<D> }> {
    const { ordered: _ordered, window: _window, signal: _signal, ...each } = options;
    const starter = {
      start: ({ payload, error }: Prepared, timeoutMs: number, onOutcome: (outcome: Outcome) => void): string => {
        if (payload === undefined) throw error;
        return this.#port.start(payload, { ...each, timeoutMs }, onOutcome);
      },
      cancel: (id: string) => this.#port.cancel(id),
    };
    for await (const outcome of jobFlow(starter, this.#prepared(values), options)) yield await this.#typed(outcome);
  }

  async *#prepared(values: Iterable<PayloadOf<D>> | AsyncIterable<PayloadOf<D>>): AsyncGenerator<Prepared> {
    for await (const input of values) {
      try {
        yield { input, payload: await encodePayload(this.definition, input) };
      } catch (error) {
        yield { input, error };
      }
    }
  }

  async #typed({ input: { input }, ...outcome }: FlowOutcome<Prepared>) {
    return { ...(await typedOutcome(this.definition, outcome)), index: outcome.index, input };
  }

  #decode(payload: Uint8Array): unknown {
    return contractsOf(this.definition).output.codec.decode(payload);
  }
}

/** A value on its way into a flow. */
interface Prepared {
  readonly input: unknown;
  readonly payload?: Uint8Array;
  readonly error?: unknown;
}

/** A result with its value. @throws PoolError `job_failed`, code "schema.result" */
export async function typedResult<D extends PoolDefinition>(
  definition: D,
  result: JobResult,
): Promise<TypedResult<ValueOf<D>>> {
  return new TypedResult(result, (await decodeResult(definition, result.payload)) as ValueOf<D>);
}

/** An outcome with its value; one that does not fit is a failed job. */
export async function typedOutcome<D extends PoolDefinition>(
  definition: D,
  outcome: Outcome | IndexedOutcome,
): Promise<TypedOutcome<ValueOf<D>>> {
  if (!outcome.ok) return outcome;
  const { id, result } = outcome;
  try {
    return { ok: true, id, result: await typedResult(definition, result) };
  } catch (thrown) {
    const { worker, attempt, waitMs } = result;
    return { ok: false, id, error: toPoolError(thrown), worker, attempt, waitMs };
  }
}
