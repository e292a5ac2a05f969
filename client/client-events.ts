/** What a client tells who listens to `client.events`. */
import type { PoolError } from "../mesh/errors.js";
import type { JobResult, Outcome } from "../mesh/job/job.js";
import type { PartEvents, TypedEvents } from "../mesh/process/part-events.js";

/** The events of a client, and what a listener gets. Jobs are those of submit, submitMany and detachSubmit. */
export interface ClientEventMap {
  /** It is connected. */
  "client:ready": { readonly pool: string };
  /** The connection to the broker was lost; the client connects again by itself. */
  "client:disconnect": { readonly pool: string };
  "client:reconnect": { readonly pool: string };
  /** It was closed. */
  "client:stop": { readonly pool: string };
  /** A job was submitted. */
  "job:submit": { readonly pool: string; readonly id: string };
  "job:success": { readonly pool: string; readonly id: string; readonly result: JobResult };
  "job:error": { readonly pool: string; readonly id: string; readonly error: PoolError };
}

/** An EventEmitter of {@link ClientEventMap}. */
export type ClientEvents = TypedEvents<ClientEventMap>;

/** Tells of a job's end, and then whoever waits for it. */
export function telling(
  events: PartEvents<ClientEventMap>,
  pool: string,
  onOutcome: (outcome: Outcome) => void,
): (outcome: Outcome) => void {
  return (outcome) => {
    const { id } = outcome;
    if (outcome.ok) events.tell("job:success", { pool, id, result: outcome.result });
    else events.tell("job:error", { pool, id, error: outcome.error });
    onOutcome(outcome);
  };
}
