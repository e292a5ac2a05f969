/**
 * The middleware of a client: what runs around each submission.
 *
 * A submission has its id before the first middleware runs, so that it can be
 * canceled while one waits.
 */
import { jobCanceled, PoolError } from "../mesh/errors.js";
import type { JobResult, Outcome, SubmitOptions } from "../mesh/job/job.js";
import { compose, type Middleware } from "../mesh/job/middleware.js";
import { isA, thrownText } from "../mesh/thrown.js";

/** One submission, as a middleware sees it. What it changes before next() is what is sent. */
export interface SubmitCall {
  readonly pool: string;
  /** The job's id: the caller's own, or one that was made for it. */
  readonly id: string;
  payload: Uint8Array;
  options: SubmitOptions;
}

/** A function around each submission of a client. */
export type SubmitMiddleware = Middleware<SubmitCall, JobResult>;

/** Submits a call that has passed all middleware. May throw instead. */
type Submit = (call: SubmitCall, onOutcome: (outcome: Outcome) => void) => void;

export class AroundSubmit {
  readonly #middleware: SubmitMiddleware[] = [];
  /** Cancels those that are not submitted yet, by id. */
  readonly #waiting = new Map<string, () => void>();

  use(middleware: SubmitMiddleware): void {
    this.#middleware.push(middleware);
  }

  /** Lets a call pass all middleware; `onOutcome` hears its end exactly once. */
  run(call: SubmitCall, submit: Submit, onOutcome: (outcome: Outcome) => void): void {
    const { id } = call;
    let ended: Outcome | undefined;
    let canceled = false;
    this.#waiting.set(id, () => {
      canceled = true;
    });
    const work = (passed: SubmitCall): Promise<JobResult> =>
      new Promise((resolve, reject) => {
        this.#waiting.delete(id);
        if (canceled) throw jobCanceled();
        submit(passed, (outcome) => {
          ended = outcome;
          if (outcome.ok) resolve(outcome.result);
          else reject(outcome.error);
        });
      });
    void compose(
      this.#middleware,
      work,
    )(call)
      .then(
        (result): Outcome => ({ ok: true, id, result }),
        (thrown: unknown): Outcome => {
          if (ended?.ok === false && ended.error === thrown) return ended;
          return { ok: false, id, error: asPoolError(thrown), worker: "", attempt: 0 };
        },
      )
      .then((outcome) => {
        this.#waiting.delete(id);
        onOutcome(outcome);
      });
  }

  /** Cancels a call that a middleware still holds; false when there is none of this id. */
  cancel(id: string): boolean {
    const cancel = this.#waiting.get(id);
    cancel?.();
    return cancel !== undefined;
  }
}

function asPoolError(thrown: unknown): PoolError {
  if (isA(thrown, PoolError)) return thrown;
  return new PoolError("internal", `a middleware of the client failed: ${thrownText(thrown)}`, { cause: thrown });
}
