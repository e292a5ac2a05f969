/** A caller of jobs: submits, hears, and tells the history both. */
import assert from "node:assert/strict";
import type { PoolError } from "../../../mesh/errors.js";
import { type JobResult, type Outcome, type SubmitOptions, type Submitter, toBytes } from "../../../mesh/job/job.js";
import { type History, machineNow, type OutcomeEvent } from "../history.js";
import type { Order } from "./handler.js";

/** What a caller heard, and how long after its submit. */
export interface Heard extends OutcomeEvent {
  readonly afterMs: number;
  readonly worker: string;
  readonly error: PoolError | undefined;
}

/** How a caller submits. */
export interface CallerOptions extends SubmitOptions {
  /** The id has had an outcome, and is used for other work now. */
  readonly renews?: boolean;
}

/** A steady load. */
export interface LoadOptions extends SubmitOptions {
  /** Jobs in all. */
  readonly jobs: number;
  /** Jobs under way at once. */
  readonly window: number;
  readonly order: Order | ((index: number) => Order);
  /** Stops submitting when it says so. */
  readonly until?: () => boolean;
}

let callers = 0;

/** A caller of one pool, through anything that takes jobs. */
export class Caller {
  readonly submitter: Submitter;
  readonly #history: History;
  readonly #prefix: string;
  #jobs = 0;
  #waiting = 0;

  constructor(history: History, submitter: Submitter) {
    callers += 1;
    this.#history = history;
    this.submitter = submitter;
    this.#prefix = `c${callers}`;
  }

  /** Jobs whose outcome it has not heard. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Submits one job and resolves with its outcome. Never rejects. */
  async submit(order: Order, { renews, ...options }: CallerOptions = {}): Promise<Heard> {
    this.#jobs += 1;
    const id = options.id ?? `${this.#prefix}-${this.#jobs}`;
    const timeoutMs = options.timeoutMs ?? 30_000;
    const begunAt = machineNow();
    const again = renews === undefined ? {} : { renews };
    this.#history.add({ kind: "submit", id, timeoutMs, idempotent: options.idempotent ?? false, ...again });
    this.#waiting += 1;
    const outcome = await this.#run(id, order, { ...options, id, timeoutMs });
    this.#waiting -= 1;
    const event = toEvent(outcome, order);
    this.#history.add(event);
    return {
      ...event,
      afterMs: machineNow() - begunAt,
      worker: outcome.ok ? outcome.result.worker : outcome.worker,
      error: outcome.ok ? undefined : outcome.error,
    };
  }

  /** Keeps `window` jobs under way until `jobs` have been submitted; resolves with every outcome. */
  async load({ jobs, window, order, until = () => false, ...options }: LoadOptions): Promise<Heard[]> {
    const heard: Heard[] = [];
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < jobs && !until() && !this.#history.closed) {
        const index = next;
        next += 1;
        heard.push(await this.submit(typeof order === "function" ? order(index) : order, options));
      }
    };
    await Promise.all(Array.from({ length: window }, lane));
    return heard;
  }

  #run(id: string, order: Order, options: SubmitOptions): Promise<Outcome> {
    return this.submitter.submit(toBytes(JSON.stringify(order)), options).then(
      (result): Outcome => ({ ok: true, id, result }),
      (error: PoolError): Outcome => ({ ok: false, id, error, worker: "", attempt: 0 }),
    );
  }
}

function toEvent(outcome: Outcome, order: Order): OutcomeEvent {
  const { id } = outcome;
  if (outcome.ok)
    return { kind: "outcome", id, ok: true, attempt: outcome.result.attempt, ran: ranOf(outcome.result, order) };
  const { reason, message, maybeExecuted } = outcome.error;
  return { kind: "outcome", id, ok: false, reason, message, maybeExecuted, attempt: outcome.attempt };
}

/** @throws Error when the result is not what the handler was asked to give back */
function ranOf(result: JobResult, order: Order): NonNullable<OutcomeEvent["ran"]> {
  const { id, attempt, pid, echo } = result.json<{ id: string; attempt: number; pid: number; echo?: string }>();
  if (echo !== order.echo) throw new Error(`${result.id} came back with another payload`);
  return { id, attempt, pid };
}

/** How many ended in which way, such as `{ ok: 10, worker_lost: 1 }`. */
export function countBy(heard: readonly Heard[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { ok, reason } of heard) {
    const key = ok ? "ok" : (reason ?? "");
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** @throws AssertionError that says what the others heard, when not exactly so many ended in these ways */
export function assertEnded(heard: readonly Heard[], expected: Readonly<Record<string, number>>): void {
  const others = heard.filter(({ ok, reason }) => expected[ok ? "ok" : (reason ?? "")] === undefined);
  const told = others.slice(0, 5).map(({ id, reason, message, afterMs }) => {
    return `${id}: ${reason}, ${message}, after ${Math.round(afterMs)} ms`;
  });
  assert.deepEqual(countBy(heard), expected, told.length === 0 ? undefined : told.join("; "));
}
