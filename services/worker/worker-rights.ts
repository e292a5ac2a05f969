/**
 * What a worker cannot do without on the broker. Pure.
 *
 * While something of it is missing the worker is not READY: nobody would hear what
 * it answers, or it does not hear what it must. That an answer was refused counts
 * for some heartbeats. A manager that hears of it in a heartbeat asks the worker
 * again (inquiries.ts), and that answer is refused or not.
 */
import type { BrokerRefusal } from "../../mesh/link/broker/refusals.js";
import { senderOf } from "../../mesh/wire/wire-headers.js";

/** How long a refused publish counts: so many heartbeats, and at least this, in milliseconds. */
const REFUSED_FOR_BEATS = 2.5;
const REFUSED_FOR_MS = 2_500;

/** What a worker needs. */
export interface WorkerNeeds {
  /** Subjects that it must hear. */
  readonly heard: ReadonlySet<string>;
  /** The subject of its own heartbeats. */
  readonly heartbeat: string;
  /** Whether jobs came from this connection: all of its reply subjects begin so. */
  readonly isSender: (root: string) => boolean;
}

/** The name of what is missing; undefined for what a worker can do without. */
export function missingOf({ operation, subject }: BrokerRefusal, needs: WorkerNeeds): string | undefined {
  if (operation === "subscribe") return needs.heard.has(subject) ? `subscribe ${subject}` : undefined;
  if (subject === needs.heartbeat) return `publish ${subject}`;
  return needs.isSender(senderOf(subject)) ? repliesTo(subject) : undefined;
}

/** The name of the right to publish to this reply subject, and to all others of its connection. */
export function repliesTo(reply: string): string {
  return `publish ${senderOf(reply)}.>`;
}

/** How long a refused publish counts, in milliseconds. */
export function refusedForMs(heartbeatIntervalMs: number): number {
  return Math.max(REFUSED_FOR_MS, REFUSED_FOR_BEATS * heartbeatIntervalMs);
}
