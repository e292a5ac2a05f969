/**
 * What every arm can do: run workers in processes of their own, and call them
 * from another.
 *
 * An arm is a file of arms/ that exports `arm`. It is loaded in the processes
 * that play one of its roles, never in the one that measures.
 */

/** What a role is told. */
export interface Setup {
  /** Unique among the fleets of a run: its pool, subject or queue. */
  readonly group: string;
  /** URLs of NATS brokers, in the order of their start. */
  readonly servers: readonly string[];
  readonly redisPort: number;
  /** Jobs that one worker may run at once. */
  readonly slots: number;
  /** How many workers there are. */
  readonly workers: number;
  /** Which of them this is, from 0; the caller is 0. */
  readonly index: number;
  readonly work: Work;
}

/** What a worker does with a job: answer with its payload, or take the time that the payload says. */
export type Work = "echo" | "timed";

/** A worker, ready to take jobs. */
export interface WorkerRole {
  /** What its jobs were, with `timed` work. */
  readonly runs?: readonly Run[];
  stop(): Promise<void>;
}

/** One timed job, by the machine's monotonic clock, in milliseconds. */
export interface Run {
  readonly index: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Hears how a call ended, exactly once. */
export type Done = (error: Error | undefined, answer: unknown) => void;

/** A program that submits jobs, connected. */
export interface CallerRole {
  /** The form in which this arm takes a payload of ASCII text; done before the clock runs. */
  encode(text: string): unknown;
  /** The text of an answer, to check it. */
  decode(answer: unknown): string;
  /** Submits one job. */
  call(payload: unknown, done: Done): void;
  /** Submits many at once, where the peer has a way of its own for that. */
  callMany?(payloads: readonly unknown[], done: Done): void;
  /** Sees to it that so many stored jobs of the same pool have not ended, where the arm has such jobs beside those it measures. */
  fill?(jobs: number, payload: unknown): Promise<void>;
  stop(): Promise<void>;
}

/** One way of running jobs. */
export interface Arm {
  startWorker(setup: Setup): Promise<WorkerRole>;
  startCaller(setup: Setup): Promise<CallerRole>;
}
