/** How attempts leave: what the dispatcher asks of the link. Pure. */
import type { Attempt, Job } from "./job.js";
import type { WorkerEntry } from "./workers.js";

/** The way out of the core; pool/sender.ts is the real one. */
export interface SenderPort {
  /** Sends an attempt to one worker or to the queue group, at the latest at the end of this turn. */
  send(attempt: Attempt, worker: WorkerEntry | undefined): void;
  /** Whether something waits for the end of this turn. */
  readonly holds: boolean;
  /** Takes back the offers that have not left yet. */
  takeOffers(): readonly Attempt[];
  /** Sends now what waits for the end of this turn. */
  flush(): void;
  /** Tells all workers that attempts of a job up to a number are not wanted any more. */
  revoke(job: Job, upToAttempt: number): void;
  /** No reply to this attempt is waited for any more. */
  forget(attempt: Attempt): void;
  /** The largest payload that can be sent now, in bytes. */
  payloadLimit(): number;
}
