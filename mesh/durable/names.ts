/**
 * The subjects and streams of the durable lane, built and taken apart in one place. Pure.
 *
 * A stream's name is the prefix with "=" in place of ".", then what the stream
 * holds. Names are checked here, as in mesh/wire/subjects.ts.
 */

import type { Priority } from "../wire/headers.js";
import { checkName, DEFAULT_PREFIX, isName, Subjects } from "../wire/subjects.js";

/** The levels of a pool's stream, in the order in which they are served. */
export const LEVELS: readonly Priority[] = ["high", "normal", "low"];

/** Headers of JetStream that are set or read. */
export const NATS_HEADER = {
  /** The stream drops a second message with the same id, for two minutes. */
  messageId: "Nats-Msg-Id",
  expectedStream: "Nats-Expected-Stream",
  /** The fence: the message is stored only when this is the sequence of the subject's last one, 0 for none. */
  expectedLastSubjectSequence: "Nats-Expected-Last-Subject-Sequence",
} as const;

/** A job's subject, taken apart. */
export interface JobSubject {
  readonly pool: string;
  readonly level: Priority;
  readonly id: string;
}

export class DurableNames {
  readonly prefix: string;
  readonly #streams: string;
  readonly #depth: number;

  /** @throws PoolError `invalid_argument` for a prefix that is none */
  constructor(prefix: string = DEFAULT_PREFIX) {
    this.prefix = new Subjects(prefix).prefix;
    this.#streams = this.prefix.replaceAll(".", "=");
    this.#depth = this.prefix.split(".").length;
  }

  /** The stream of one pool's jobs. */
  jobsStream(pool: string): string {
    return `${this.#streams}-jobs-${checkName("pool", pool)}`;
  }

  /** The pool of such a stream; undefined for any other stream. */
  poolOfStream(stream: string): string | undefined {
    const start = `${this.#streams}-jobs-`;
    return stream.startsWith(start) && isName(stream.slice(start.length)) ? stream.slice(start.length) : undefined;
  }

  /** The stream of all pools' outcomes. */
  get outcomesStream(): string {
    return `${this.#streams}-outcomes`;
  }

  /** The stream of all pools' dead letters. */
  get deadStream(): string {
    return `${this.#streams}-dead`;
  }

  /** The stream of the claims of jobs that may run once only. */
  get claimsStream(): string {
    return `${this.#streams}-claims`;
  }

  /** Where a job is published. */
  job(pool: string, level: Priority, id: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.durable.${level}.${checkName("job", id)}`;
  }

  /** What one level's consumer takes. */
  jobsOf(pool: string, level: Priority): string {
    return `${this.prefix}.${checkName("pool", pool)}.durable.${level}.*`;
  }

  /** The jobs of all levels. */
  everyJob(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.durable.*.*`;
  }

  /** To one manager: store this job, and answer with its receipt. */
  enqueue(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.enqueue`;
  }

  /** To every manager: who holds this job? */
  lookup(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.lookup`;
  }

  /** To one manager: end this stored job, which nobody holds. */
  discard(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.discard`;
  }

  outcome(pool: string, id: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.outcome.${checkName("job", id)}`;
  }

  /** Where the stream says that an outcome is stored. */
  ended(pool: string, id: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.ended.${checkName("job", id)}`;
  }

  dead(pool: string, id: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.dead.${checkName("job", id)}`;
  }

  claim(pool: string, id: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.claim.${checkName("job", id)}`;
  }

  /** What a stream takes: one kind of subject, of all pools or of one. */
  every(kind: "outcome" | "dead" | "claim", pool?: string): string {
    return `${this.prefix}.${pool === undefined ? "*" : checkName("pool", pool)}.${kind}.*`;
  }

  /** Which deliveries manager M holds. */
  held(pool: string, manager: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.held.${checkName("manager", manager)}`;
  }

  /** To one manager: are you there? */
  probe(pool: string, manager: string): string {
    return `${this.lookup(pool)}.${checkName("manager", manager)}`;
  }

  everyHeld(pool?: string): string {
    return `${this.prefix}.${pool === undefined ? "*" : checkName("pool", pool)}.held.*`;
  }

  everyProbe(manager: string, pool?: string): string {
    return `${this.everyDoor("lookup", pool)}.${checkName("manager", manager)}`;
  }

  /** What a manager subscribes to; without a pool it hears all of them. */
  everyDoor(door: "enqueue" | "lookup" | "discard", pool?: string): string {
    return `${this.prefix}.${pool === undefined ? "*" : checkName("pool", pool)}.${door}`;
  }

  /** What the outcomes' stream publishes again, and as what. */
  get republish(): { readonly src: string; readonly dest: string } {
    return { src: this.every("outcome"), dest: `${this.prefix}.{{wildcard(1)}}.ended.{{wildcard(2)}}` };
  }

  /** Takes a job's subject apart; undefined when it is none of this mesh. */
  readJob(subject: string): JobSubject | undefined {
    const [pool, kind, level, id, more] = subject.split(".").slice(this.#depth);
    if (kind !== "durable" || pool === undefined || id === undefined || more !== undefined) return undefined;
    const known = LEVELS.find((each) => each === level);
    return known === undefined ? undefined : { pool, level: known, id };
  }

  /** The pool in any subject of this mesh. */
  poolOf(subject: string): string {
    return subject.split(".")[this.#depth] ?? "";
  }
}
