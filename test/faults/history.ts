/**
 * The history of a fault scenario: what happened, in the words of those who saw it.
 *
 * Append-only NDJSON, written by every process of a scenario to one file. A line
 * is one write(2) with O_APPEND, so that lines of several processes never mix
 * and a `kill -9` loses nothing that was said. Instants are the machine's
 * monotonic clock, which all its processes share.
 */
import { appendFileSync, readFileSync } from "node:fs";
import type { Reason } from "../../mesh/errors.js";

/** How one job ended, as its caller heard it. */
export interface OutcomeEvent {
  readonly kind: "outcome";
  readonly id: string;
  readonly ok: boolean;
  /** Of a failure. */
  readonly reason?: Reason | string;
  readonly message?: string;
  readonly maybeExecuted?: boolean;
  /** As it is shown; that of a run is its number. */
  readonly attempt: number;
  /** What the handler says of the attempt whose result this is. */
  readonly ran?: { readonly id: string; readonly attempt: number; readonly pid: number };
}

/** What can happen. */
export type FaultEvent =
  /** A caller submits a job. */
  | {
      readonly kind: "submit";
      readonly id: string;
      readonly timeoutMs: number;
      readonly idempotent: boolean;
      /** The id has had an outcome, and is used for other work now. */
      readonly renews?: boolean;
    }
  | OutcomeEvent
  /** A caller has the receipt of a job of the durable lane. */
  | { readonly kind: "enqueued"; readonly id: string; readonly idempotent: boolean; readonly key?: string }
  /** Stored jobs of this key have this limit from now on. */
  | { readonly kind: "limit"; readonly key: string; readonly running: number }
  /** The stream of outcomes tells that a job has ended. */
  | { readonly kind: "told"; readonly id: string }
  /** Where it is when everything should be at rest. */
  | {
      readonly kind: "stored";
      readonly id: string;
      readonly as: "result" | "error" | "live" | "nothing";
      /** Outcomes that the stream has told of. */
      readonly outcomes: number;
    }
  /** A handler begins and ends. */
  | {
      readonly kind: "start";
      readonly id: string;
      readonly attempt: number;
      readonly worker: string;
      readonly pid: number;
    }
  | {
      readonly kind: "end";
      readonly id: string;
      readonly attempt: number;
      readonly worker: string;
      readonly pid: number;
      readonly how: "returned" | "threw" | "aborted";
    }
  /** A handler's signal fires. */
  | { readonly kind: "signal"; readonly id: string; readonly attempt: number; readonly worker: string }
  /** A manager hears that a worker has the job. */
  | { readonly kind: "accepted"; readonly id: string; readonly attempt: number; readonly worker: string }
  /** A manager revokes attempts up to this one. */
  | { readonly kind: "revoked"; readonly id: string; readonly attempt: number }
  /** A worker has this many slots from now on; whatever an earlier process of that id ran is gone. */
  | { readonly kind: "worker"; readonly worker: string; readonly slots: number }
  /** The harness does something to somebody. */
  | { readonly kind: "fault"; readonly what: string; readonly whom: string }
  /** What is seen when everything should be at rest. */
  | {
      readonly kind: "rest";
      readonly seen: Readonly<Record<string, number>>;
      readonly wanted: Readonly<Record<string, number>>;
    }
  /** How long the meter took to show the truth after the last change. */
  | {
      readonly kind: "meter";
      readonly seen: Readonly<Record<string, number>>;
      readonly wanted: Readonly<Record<string, number>>;
      readonly afterMs: number;
      readonly intervalMs: number;
    }
  /** A process ends after it was told to. */
  | {
      readonly kind: "exit";
      readonly process: string;
      readonly afterMs: number;
      readonly graceMs: number;
      readonly code: number | null;
      readonly allowed: readonly number[];
      /** Its addresses that still answer. */
      readonly listening: readonly string[];
    }
  /** A message of a capacity stream at a subscriber. */
  | {
      readonly kind: "stream";
      readonly stream: string;
      readonly snapshot: boolean;
      readonly version: number;
      readonly slots: number;
      readonly busy: number;
    }
  /** What the last message of a stream must say. */
  | { readonly kind: "truth"; readonly stream: string; readonly slots: number; readonly busy: number }
  /** What a process holds, before and after. */
  | {
      readonly kind: "resources";
      readonly process: string;
      readonly phase: "baseline" | "rest";
      readonly held: Readonly<Record<string, number>>;
    };

/** An event with its instant, in milliseconds. */
export type Recorded<E extends FaultEvent = FaultEvent> = E & { readonly at: number };

/** The machine's monotonic clock, in milliseconds. */
export function machineNow(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** One history file. */
export class History {
  readonly path: string;
  #closed = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Whether the scenario is over. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Nothing is added any more by this process. */
  close(): void {
    this.#closed = true;
  }

  /** Adds an event, by default as of now; it is in the file when this returns. */
  add(event: FaultEvent, at = machineNow()): void {
    if (this.#closed) return;
    appendFileSync(this.path, `${JSON.stringify({ at, ...event })}\n`);
  }

  /** All events so far, by their instant. */
  read(): Recorded[] {
    return parseHistory(readFileSync(this.path, { encoding: "utf8", flag: "a+" }));
  }

  /** The events of one kind so far. */
  of<K extends FaultEvent["kind"]>(kind: K): Recorded<Extract<FaultEvent, { kind: K }>>[] {
    return this.read().filter((event): event is Recorded<Extract<FaultEvent, { kind: K }>> => event.kind === kind);
  }
}

/** The environment variable that names the history file to the processes of a scenario. */
export const HISTORY_VARIABLE = "FAULT_HISTORY";

/** NDJSON to events, by their instant. */
export function parseHistory(text: string): Recorded[] {
  const events = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Recorded);
  return events.sort((a, b) => a.at - b.at);
}
