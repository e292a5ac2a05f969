/**
 * A plan: everything that happens to one mesh from outside, as plain data.
 *
 * Types only. A plan is generated from a seed (plans/generate.ts), printed,
 * shrunk (plans/shrink.ts), kept (found/) and replayed. All times are true time.
 */

import type { Limit } from "../../mesh/durable/limits/limit.js";

/** A process and its clocks. */
export interface ActorPlan {
  readonly name: string;
  /** How far its wall clock is ahead, milliseconds; default 0. */
  readonly clockOffsetMs?: number;
  /** How much faster its clocks run, parts per million; default 0. */
  readonly driftPpm?: number;
  /** Index of the broker that it connects to first; default 0. */
  readonly broker?: number;
}

/** A worker: ours, one written after docs/protocol.md, or a plain `nats reply`. */
export interface WorkerPlan extends ActorPlan {
  readonly slots: number;
  /** Default "poolmesh". */
  readonly kind?: "poolmesh" | "foreign" | "bare";
}

/** A caller: the light client, or a program that embeds a manager. */
export interface CallerPlan extends ActorPlan {
  /** Default "client". */
  readonly kind?: "client" | "embedded";
}

/** What is submitted. */
export interface JobPlan {
  /** Its payload: jobs of one number are the same work. */
  readonly number: number;
  /** Chosen by the caller; default: made by the product. */
  readonly id?: string;
  /** How long its handler takes, milliseconds. */
  readonly durationMs: number;
  /** How long its handler blocks the event loop before that, milliseconds; default 0. */
  readonly blockMs?: number;
  /** From submit to deadline, milliseconds. */
  readonly timeoutMs: number;
  readonly idempotent?: boolean;
  readonly priority?: "high" | "normal" | "low";
  /** False: it is refused when no slot is free; default true. */
  readonly wait?: boolean;
  /** The handler throws; default false. */
  readonly throws?: boolean;
  /** Bytes that are added to the payload; default 0. */
  readonly padBytes?: number;
  /** Failures after which an enqueued job is given up; default 5. */
  readonly maxAttempts?: number;
  /** The key by which an enqueued job shares a limit; default none. */
  readonly key?: string;
  /** How many jobs follow it, one after the other; default 0. */
  readonly follows?: number;
}

/** One thing that happens. What takes a time ends by itself: a cut link heals, a killed process starts again. */
export type Step =
  | { readonly do: "submit"; readonly atMs: number; readonly caller: string; readonly job: JobPlan }
  /** A job of the durable lane. */
  | { readonly do: "enqueue"; readonly atMs: number; readonly caller: string; readonly job: JobPlan }
  /** A batch of such jobs. */
  | {
      readonly do: "batch";
      readonly atMs: number;
      readonly caller: string;
      readonly id: string;
      readonly jobs: readonly JobPlan[];
    }
  | { readonly do: "cancel"; readonly atMs: number; readonly caller: string; readonly number: number }
  | { readonly do: "pause"; readonly atMs: number; readonly process: string; readonly forMs: number }
  | { readonly do: "block"; readonly atMs: number; readonly process: string; readonly forMs: number }
  | { readonly do: "kill"; readonly atMs: number; readonly process: string; readonly restartAfterMs?: number }
  | { readonly do: "term"; readonly atMs: number; readonly process: string; readonly restartAfterMs?: number }
  | { readonly do: "set-clock"; readonly atMs: number; readonly process: string; readonly byMs: number }
  | {
      readonly do: "hold";
      readonly atMs: number;
      readonly process: string;
      readonly forMs: number;
      readonly direction?: "toBroker" | "fromBroker";
    }
  | {
      readonly do: "delay";
      readonly atMs: number;
      readonly process: string;
      readonly forMs: number;
      readonly ms: number;
    }
  | {
      readonly do: "slow";
      readonly atMs: number;
      readonly process: string;
      readonly forMs: number;
      readonly bytesPerMs: number;
    }
  | { readonly do: "cut"; readonly atMs: number; readonly process: string; readonly forMs: number }
  /** Connections of this process end and cannot be made, for a time. */
  | { readonly do: "down"; readonly atMs: number; readonly process: string; readonly forMs: number }
  | { readonly do: "reset"; readonly atMs: number; readonly process: string }
  /**
   * `losesMs`: its machine loses its power, and with it what its streams stored within this time before.
   * `keepsConsumers`: what its consumers did is not lost.
   */
  | {
      readonly do: "kill-broker";
      readonly atMs: number;
      readonly broker: number;
      readonly forMs: number;
      readonly losesMs?: number;
      readonly keepsConsumers?: boolean;
    }
  | { readonly do: "pause-broker"; readonly atMs: number; readonly broker: number; readonly forMs: number }
  | { readonly do: "lame-duck"; readonly atMs: number; readonly broker: number; readonly restartAfterMs: number }
  /** Somebody tells a worker to drain, or to pause for a time. */
  | { readonly do: "drain"; readonly atMs: number; readonly process: string; readonly restartAfterMs?: number }
  | { readonly do: "pause-taking"; readonly atMs: number; readonly process: string; readonly forMs: number }
  | { readonly do: "stream"; readonly atMs: number; readonly subjects: readonly string[]; readonly forMs: number }
  | { readonly do: "stranger"; readonly atMs: number; readonly says: StrangerAct; readonly forMs: number };

/** What somebody who is no part of the mesh may do. */
export type StrangerAct =
  /** OutcomeReplies every job with a `Pool-Reply` that nobody knows. */
  | "unknown-reply-kind"
  /** Publishes heartbeats that are garbage. */
  | "garbage-heartbeats"
  /** Sends control words to all workers that nobody knows. */
  | "garbage-control"
  /** Publishes jobs with attempts that are no numbers. */
  | "malformed-attempts";

/** One run of the simulator. */
export interface Plan {
  readonly seed: number;
  /** 1, or 3 for a cluster. */
  readonly brokers: number;
  /** Managers have the durable lane, and brokers JetStream; default false. */
  readonly lane?: boolean;
  /** Limits of stored jobs, set before the first job comes; default none. */
  readonly limits?: readonly Limit[];
  readonly managers: readonly ActorPlan[];
  readonly workers: readonly WorkerPlan[];
  readonly callers: readonly CallerPlan[];
  /** In the order of their times. */
  readonly steps: readonly Step[];
}

/** The pool that all of it is about. */
export const POOL = "p";

/** Kinds of steps that are faults. */
export type FaultKind = Exclude<Step["do"], "submit" | "enqueue" | "batch" | "cancel">;

/** The part of a plan that a step is about, without its time, for people. */
export function describeStep(step: Step): string {
  const { do: what, atMs: _atMs, ...rest } = step;
  const words = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`,
  );
  return [what, ...words].join(" ");
}

/** When the effect of a step has ended, milliseconds of true time. */
export function endOf(step: Step): number {
  if ("forMs" in step) return step.atMs + step.forMs;
  if ("restartAfterMs" in step) return step.atMs + (step.restartAfterMs ?? 0);
  return step.atMs;
}
