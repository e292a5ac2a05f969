/**
 * The jobs that follow a durable job: how a chain is said, checked and written, and the id of the next job. Pure.
 *
 * Decided here: a chain is bounded in steps and in bytes, and has no job twice: a job of an id runs once, so the second would
 * never run. The id of the next job is made of the
 * job before it, so whoever enqueues the next job, and however often, enqueues the same job.
 */
import { createHash } from "node:crypto";
import { PoolError } from "../../errors.js";
import type { NextJob } from "../../job/job.js";
import { HEADER } from "../../wire/headers.js";
import { checkName } from "../../wire/subjects.js";

/** One job that follows another. */
export interface ThenStep {
  readonly pool: string;
  /** Its id; undefined for one that is made of the job before it. */
  readonly id: string | undefined;
}

/** How a caller says which jobs follow: one, nested ones, or a list in their order. */
export interface Then {
  readonly pool: string;
  /** Default: made of the job before it. */
  readonly id?: string | undefined;
  /** What follows that job. */
  readonly then?: Then | undefined;
}

/** The longest chain, in jobs after the first one. */
export const MAX_THEN_STEPS = 16;
/** The longest chain as a header, in bytes. */
const MAX_THEN_BYTES = 1_024;
/** What a made id keeps of the id before it, and of the hash, in characters. */
const ID_KEPT = 40;
const HASH_KEPT = 16;

/** @throws PoolError `invalid_argument` naming the field */
export function checkThen(then: Then | readonly Then[] | undefined): readonly ThenStep[] {
  if (then === undefined) return [];
  const steps: ThenStep[] = [];
  const add = (one: Then | undefined): void => {
    if (one === undefined) return;
    if (typeof one !== "object" || one === null) throw refused("use { pool, id } or a list of them");
    steps.push({ pool: checkName("then", one.pool), id: one.id === undefined ? undefined : checkName("then", one.id) });
    if (steps.length > MAX_THEN_STEPS) throw tooLong();
    add(one.then);
  };
  for (const one of Array.isArray(then) ? (then as readonly Then[]) : [then as Then]) add(one);
  if (encodeThen(steps).length > MAX_THEN_BYTES) throw tooLong();
  const named = steps.filter(({ id }) => id !== undefined).map((step) => encodeThen([step]));
  const twice = named.find((each, i) => named.indexOf(each) < i);
  if (twice !== undefined) throw refused(`${twice} is in the chain twice; a job of an id runs once`);
  return steps;
}

/** Refuses a chain that leads back to the job itself. @throws PoolError `invalid_argument` */
export function checkNotItself(pool: string, id: string, steps: readonly ThenStep[]): void {
  if (!steps.some((step) => step.pool === pool && step.id === id)) return;
  throw refused(`${pool}:${id} is the job itself; a job of an id runs once`);
}

/** As a header: "mail:mail-7,archive". */
export function encodeThen(steps: readonly ThenStep[]): string {
  return steps.map(({ pool, id }) => (id === undefined ? pool : `${pool}:${id}`)).join(",");
}

/** @throws PoolError `invalid_argument` with the header as its field */
export function decodeThen(text: string | undefined): readonly ThenStep[] {
  if (text === undefined) return [];
  try {
    return checkThen(text.split(",").map(readStep));
  } catch (thrown) {
    const why = thrown instanceof PoolError ? thrown.message : String(thrown);
    throw new PoolError("invalid_argument", `${HEADER.then}: ${why}`, { field: HEADER.then });
  }
}

/** One step as text, "POOL" or "POOL:ID". @throws PoolError `invalid_argument` */
export function readStep(text: string): ThenStep {
  const [pool = "", id, more] = text.trim().split(":");
  if (more !== undefined) throw refused("use POOL or POOL:ID");
  return { pool: checkName("then", pool), id: id === undefined ? undefined : checkName("then", id) };
}

/** What a chain takes of the largest payload, in bytes. */
export function thenBytes(steps: readonly ThenStep[]): number {
  return steps.length === 0 ? 0 : HEADER.then.length + encodeThen(steps).length;
}

/**
 * The job that follows; undefined when none does.
 *
 * @param id of the job that has ended
 * @param sequence of that job in its pool's stream: tells one job of an id from the next
 */
export function nextJob(pool: string, id: string, sequence: number, steps: readonly ThenStep[]): NextJob | undefined {
  const [step] = steps;
  return step && { pool: step.pool, id: step.id ?? madeId(pool, id, sequence, step.pool) };
}

function madeId(pool: string, id: string, sequence: number, next: string): string {
  const hash = createHash("sha256").update(`${pool} ${id} ${sequence} ${next}`).digest("hex");
  return `${id.slice(0, ID_KEPT)}-${hash.slice(0, HASH_KEPT)}`;
}

/** As a header: "mail:mail-7". */
export function encodeNext({ pool, id }: NextJob): string {
  return `${pool}:${id}`;
}

/** The next job that an outcome names; undefined when it names none. */
export function decodeNext(text: string): NextJob | undefined {
  const [, pool, id] = /^([^:,]+):([^:,]+)$/.exec(text) ?? [];
  return pool === undefined || id === undefined ? undefined : { pool, id };
}

function refused(why: string): PoolError {
  return new PoolError("invalid_argument", `then: ${why}`, { field: "then" });
}

function tooLong(): PoolError {
  return refused(`a chain has at most ${MAX_THEN_STEPS} jobs after the first one, and ${MAX_THEN_BYTES} bytes in all`);
}
