/**
 * A flow of jobs with back-pressure: inputs are read no faster than outcomes leave.
 *
 * Works on anything that can start one job and tell its outcome by callback, so
 * Manager, Client and the streaming door share it. A job that finds the pool
 * full is started again after the time the refusal names, until its deadline.
 */
import { PoolError, toPoolError } from "../errors.js";
import { DEFAULT_TIMEOUT_MS, type Outcome } from "./job.js";

/** What can run one job. */
export interface JobStarter<T> {
  /**
   * Submits one job and returns its id; `onOutcome` hears its end exactly once. May throw instead.
   *
   * @param leftMs time left until its deadline, milliseconds
   */
  start(input: T, leftMs: number, onOutcome: (outcome: Outcome) => void): string;
  /** Ends a job that start() returned, if it is still live. */
  cancel(id: string): void;
}

/** Inputs that may come at once, without a promise, when they are there. */
export interface InputIterator<T> {
  next(): IteratorResult<T> | Promise<IteratorResult<T>>;
  /** No more inputs are wanted. */
  return?(): unknown;
}

const DEFAULT_WINDOW = 256;
const MAX_WINDOW = 65_536;

/** An outcome with the place of its job in the flow, from 0, and its input. */
export type FlowOutcome<T> = Outcome & { readonly index: number; readonly input: T };

/** How a flow runs. */
export interface JobFlowOptions<T = unknown> {
  /** Outcomes in the order of the inputs instead of as they come; default false. */
  readonly ordered?: boolean | undefined;
  /** At most this many jobs under way or not given out, 1 to 65,536; default 256. */
  readonly window?: number | undefined;
  /** Deadline of each job, milliseconds from its start; default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** The same for one job, in place of `timeoutMs`; must not throw. */
  readonly timeoutOf?: ((input: T) => number) | undefined;
  /** False: a full pool is an outcome at once; default true. */
  readonly wait?: boolean | undefined;
  /** Cancels what is under way and reads no more. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The outcomes of a stream of inputs. Ending it early cancels what is under way.
 *
 * @throws PoolError `invalid_argument` for the window, and what the inputs throw
 */
export async function* jobFlow<T>(
  starter: JobStarter<T>,
  inputs: Inputs<T>,
  options: JobFlowOptions<T> = {},
): AsyncGenerator<FlowOutcome<T>> {
  const flow = new Flow(starter, inputs, options);
  try {
    for (let outcome = await flow.next(); outcome !== undefined; outcome = await flow.next()) yield outcome;
  } finally {
    await flow.stop();
  }
}

type Inputs<T> = Iterable<T> | AsyncIterable<T> | InputIterator<T>;

class Flow<T> {
  readonly #starter: JobStarter<T>;
  readonly #options: JobFlowOptions<T>;
  readonly #window: number;
  readonly #inputs: InputIterator<T>;
  /** Jobs that were read and are started at the end of this turn. */
  #batch: (() => void)[] = [];
  /** Ids of jobs under way, to cancel them. */
  readonly #live = new Set<string>();
  #aborted = false;
  /** Outcomes that can be given out, in the order asked for. */
  readonly #ready: FlowOutcome<T>[] = [];
  /** With `ordered`: outcomes that wait for an earlier one. */
  readonly #early = new Map<number, FlowOutcome<T>>();
  #nextInOrder = 0;
  #index = 0;
  #underWay = 0;
  #given = 0;
  #reading: Promise<void> | undefined;
  #inputsEnded = false;
  #inputsError: unknown;
  #wake: () => void = () => {};
  readonly #onAbort = (): void => this.#abort();

  constructor(starter: JobStarter<T>, inputs: Inputs<T>, options: JobFlowOptions<T>) {
    const window = options.window ?? DEFAULT_WINDOW;
    if (!Number.isInteger(window) || window < 1 || window > MAX_WINDOW) {
      throw new PoolError("invalid_argument", `window: use a whole number from 1 to ${MAX_WINDOW}`, {
        field: "window",
      });
    }
    this.#starter = starter;
    this.#options = options;
    this.#window = window;
    this.#inputs = iteratorOf(inputs);
    if (options.signal?.aborted) this.#onAbort();
    options.signal?.addEventListener("abort", this.#onAbort);
  }

  /** The next outcome, undefined at the end. */
  async next(): Promise<FlowOutcome<T> | undefined> {
    for (;;) {
      this.#fill();
      if (this.#given < this.#ready.length) return this.#give();
      if (this.#inputsError !== undefined) throw this.#inputsError;
      if (this.#inputsEnded && this.#underWay === 0) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async stop(): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#abort();
    await this.#inputs.return?.();
  }

  #abort(): void {
    this.#aborted = true;
    this.#inputsEnded = true;
    for (const id of [...this.#live]) this.#starter.cancel(id);
  }

  #give(): FlowOutcome<T> {
    const outcome = this.#ready[this.#given] as FlowOutcome<T>;
    this.#given += 1;
    if (this.#given > 1_024 && this.#given * 2 > this.#ready.length) {
      this.#ready.splice(0, this.#given);
      this.#given = 0;
    }
    return outcome;
  }

  /** Jobs under way and outcomes not yet given out: what the window bounds. */
  get #held(): number {
    return this.#underWay + this.#early.size + this.#ready.length - this.#given;
  }

  /** Reads inputs while the window has room; at most one read is pending. */
  #fill(): void {
    while (!this.#inputsEnded && this.#reading === undefined && this.#held < this.#window) {
      let step: IteratorResult<T> | Promise<IteratorResult<T>>;
      try {
        step = this.#inputs.next();
      } catch (error) {
        return this.#endInputs(error);
      }
      if (!(step instanceof Promise)) {
        this.#take(step);
        continue;
      }
      this.#reading = step.then(
        (result) => {
          this.#reading = undefined;
          this.#take(result);
          this.#wake();
        },
        (error: unknown) => {
          this.#reading = undefined;
          this.#endInputs(error);
          this.#wake();
        },
      );
    }
  }

  #take(step: IteratorResult<T>): void {
    if (step.done) this.#inputsEnded = true;
    else if (!this.#inputsEnded) this.#submitSoon(this.#index++, step.value, performance.now());
  }

  /**
   * Starts together what is read in one turn of the event loop: asynchronous
   * inputs come one by one, and the NATS client would write to its socket after
   * each.
   */
  #submitSoon(index: number, input: T, begunAt: number): void {
    this.#underWay += 1;
    const before = this.#batch.push(() => this.#submit(index, input, begunAt)) - 1;
    if (before === 0) setImmediate(() => this.#startBatch());
  }

  #startBatch(): void {
    const batch = this.#batch;
    this.#batch = [];
    for (const start of batch) start();
  }

  #endInputs(error: unknown): void {
    this.#startBatch();
    this.#inputsEnded = true;
    this.#inputsError = error;
  }

  #submit(index: number, input: T, begunAt: number): void {
    if (this.#aborted) return this.#onOutcome(index, input, begunAt, gaveUp());
    try {
      const id = this.#starter.start(input, this.#leftMs(input, begunAt), (outcome) => {
        this.#live.delete(outcome.id);
        this.#onOutcome(index, input, begunAt, outcome);
      });
      this.#live.add(id);
    } catch (thrown) {
      const error = toPoolError(thrown);
      this.#onOutcome(index, input, begunAt, { ok: false, id: "", error, worker: "", attempt: 0 });
    }
  }

  #onOutcome(index: number, input: T, begunAt: number, outcome: Outcome): void {
    this.#underWay -= 1;
    if (!outcome.ok && outcome.error.reason === "pool_full" && this.#mayTryAgain(input, begunAt, outcome.error)) {
      this.#underWay += 1;
      setTimeout(() => this.#submit(index, input, begunAt), outcome.error.retryAfterMs ?? 100);
      return;
    }
    const indexed = { ...outcome, index, input };
    if (this.#options.ordered) this.#putInOrder(indexed);
    else this.#ready.push(indexed);
    this.#wake();
  }

  #mayTryAgain(input: T, begunAt: number, error: PoolError): boolean {
    if (this.#aborted || this.#options.wait === false) return false;
    return this.#leftMs(input, begunAt) > (error.retryAfterMs ?? 100);
  }

  #leftMs(input: T, begunAt: number): number {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, timeoutOf } = this.#options;
    return (timeoutOf?.(input) ?? timeoutMs) - (performance.now() - begunAt);
  }

  #putInOrder(outcome: FlowOutcome<T>): void {
    this.#early.set(outcome.index, outcome);
    for (let next = this.#early.get(this.#nextInOrder); next; next = this.#early.get(this.#nextInOrder)) {
      this.#early.delete(this.#nextInOrder);
      this.#ready.push(next);
      this.#nextInOrder += 1;
    }
  }
}

function iteratorOf<T>(inputs: Inputs<T>): InputIterator<T> {
  if (Symbol.asyncIterator in inputs) return inputs[Symbol.asyncIterator]();
  return Symbol.iterator in inputs ? inputs[Symbol.iterator]() : inputs;
}

function gaveUp(): Outcome {
  return { ok: false, id: "", error: new PoolError("canceled", "the caller gave up"), worker: "", attempt: 0 };
}
