/**
 * Middleware around a handler: the worker's own, and those that a handler file exports.
 *
 * Of a typed pool they see the job after its payload was checked, and what they
 * give is checked as the handler's result is.
 */
import { PoolError } from "../../../../mesh/errors.js";
import { compose, type Middleware } from "../../../../mesh/job/middleware.js";
import type { LifecycleState } from "../../../../mesh/process/lifecycle.js";
import type { Handler, Job } from "../handler.js";

/** A function around each run of a handler. next() runs the rest, and resolves with what the handler returns. */
export type JobMiddleware<I = unknown> = Middleware<Job<I>, unknown>;

/** A handler with middleware around it; the handler itself when there is none. */
export function withMiddleware(run: Handler, middleware: readonly JobMiddleware[]): Handler {
  return middleware.length === 0 ? run : compose(middleware, async (job) => run(job));
}

/** What a file exports as `middleware`. @throws PoolError `invalid_argument`, field "middleware" */
export function readMiddleware(exported: unknown, shown: string): readonly JobMiddleware[] {
  if (exported === undefined) return [];
  if (Array.isArray(exported) && exported.every((each) => typeof each === "function")) return exported;
  throw refuse(`middleware of ${shown} is no array of functions`);
}

/** @throws PoolError `invalid_argument`, field "middleware", when a worker cannot use it, or not any more */
export function checkMiddleware(state: LifecycleState, runsHere: boolean, middleware: unknown): void {
  if (typeof middleware !== "function") throw refuse("middleware: it is not a function");
  if (state !== "idle") throw refuse("middleware: use() after start()");
  if (runsHere) return;
  throw refuse(
    "middleware: it runs where the handler runs, which is not here: export middleware from the handler's file",
  );
}

function refuse(message: string): PoolError {
  return new PoolError("invalid_argument", message, { field: "middleware" });
}
