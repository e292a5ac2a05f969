/**
 * Tries what a connection may publish and subscribe to, so that nobody acts on it.
 *
 * A publish goes to a name that nobody bears, where the right leaves a choice. Where
 * it does not, the message is one that managers and workers drop. A subscription ends as soon as it
 * is made. What a worker would run as a job is not tried.
 */
import { headers, type MsgHdrs } from "nats";
import { NATS_HEADER } from "../../mesh/durable/names.js";
import { refusalIn } from "../../mesh/link/broker/refusals.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { PublishOptions } from "../../mesh/link/handover.js";
import { HEADER } from "../../mesh/wire/headers.js";
import type { Attempted } from "../rights/covers.js";
import type { RightSet } from "../rights/right.js";
import { NOBODY } from "../rights/table.js";

/** What became of the attempts: those that are in neither list are allowed. */
export interface TrialOutcome {
  readonly refused: readonly Attempted[];
  /** Somebody would have acted on them. */
  readonly untried: readonly Attempted[];
}

/** What is tried for a set of rights: each right once. */
export function attemptsOf({ publish, subscribe }: Pick<RightSet, "publish" | "subscribe">): Attempted[] {
  return [
    ...publish.map(({ subject }) => ({ operation: "publish" as const, subject: concrete(subject) })),
    ...subscribe.map(({ subject, queue }) => ({
      operation: "subscribe" as const,
      subject,
      ...(queue === undefined ? {} : { queue }),
    })),
  ];
}

/** Tries all of them on a connection. */
export async function tryAll(bus: Bus, attempts: readonly Attempted[]): Promise<TrialOutcome> {
  const errors: string[] = [];
  const off = bus.on("error", (detail) => errors.push(detail));
  const untried = attempts.filter((each) => !isHarmless(each));
  const tried = attempts.filter((each) => isHarmless(each));
  for (const each of tried) {
    if (each.operation === "publish") bus.publish(each.subject, payloadFor(each.subject), optionsFor(each.subject));
    else bus.subscribe(each.subject, () => undefined, each.queue).unsubscribe();
  }
  // Errors of publishing are told a turn after the round trip has ended.
  await bus.flush();
  await bus.flush();
  off();
  const refused = errors.map(refusalIn);
  return { untried, refused: tried.filter((each) => refused.some((error) => isAbout(each, error))) };
}

/** What changes the streams that it names. */
const ACTING = /^\$JS\.(ACK|API\.(STREAM\.(PURGE|CREATE|MSG\.DELETE)|CONSUMER\.(MSG\.NEXT|CREATE|DURABLE)))\./;
/** What a stream would store. */
const STORED = /\.(durable\.[^.]+|outcome|dead|claim)\.[^.]+$/;

/** Whether nobody does anything about it. */
function isHarmless({ operation, subject }: Attempted): boolean {
  if (operation === "subscribe" || subject.includes(NOBODY)) return true;
  return !/\.(job(\.[^.]*)?|enqueue)$/.test(subject) && !ACTING.test(subject);
}

function payloadFor(subject: string): Uint8Array | undefined {
  return subject.endsWith(".control") ? new TextEncoder().encode("probe") : undefined;
}

/** A manager drops a submission whose headers it cannot read, and without a reply subject it tells nobody. */
function optionsFor(subject: string): PublishOptions | undefined {
  if (STORED.test(subject)) return { headers: forNoStream() };
  if (!subject.endsWith(".submit")) return undefined;
  const unreadable = headers();
  unreadable.append(HEADER.attempt, "none");
  return { headers: unreadable };
}

/** A stream does not store what is meant for another one. */
function forNoStream(): MsgHdrs {
  const meant = headers();
  meant.append(NATS_HEADER.expectedStream, NOBODY);
  return meant;
}

function isAbout({ operation, subject }: Attempted, error: ReturnType<typeof refusalIn>): boolean {
  return error?.operation === operation && error.subject === subject;
}

function concrete(subject: string): string {
  return subject.replaceAll("*", NOBODY).replace(/>$/, NOBODY);
}
