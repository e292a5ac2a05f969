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
  /** On what a stream publishes again: its sequence there. */
  sequence: "Nats-Sequence",
  /** On what a stream publishes again, from nats-server 2.10 on: when it was stored, as RFC 3339. */
  timeStamp: "Nats-Time-Stamp",
  /** The fence: the message is stored only when this is the sequence of the subject's last one, 0 for none. */
  expectedLastSubjectSequence: "Nats-Expected-Last-Subject-Sequence",
  /** When the stream is to publish the message again, and where: "@at 2026-12-24T18:00:00.000Z". */
  schedule: "Nats-Schedule",
  scheduleTarget: "Nats-Schedule-Target",
  scheduleTimeZone: "Nats-Schedule-Time-Zone",
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

  /** The stream of one pool's jobs that wait for their time. */
  laterStream(pool: string): string {
    return `${this.#streams}-later-${checkName("pool", pool)}`;
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

  /** The stream of limits, and of who has leave to run by them. */
  get limitsStream(): string {
    return `${this.#streams}-limits`;
  }

  /** The token of a pool's limits; those of their records are others. */
  readonly limitsToken = "limits";

  /** A pool's limits, or the record of one. Only managers publish there. */
  limit(pool: string, token: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.limits.${token}`;
  }

  /** All of them of one pool. */
  everyLimit(pool: string): string {
    return this.every("limits", pool);
  }

  /** To one manager: set, remove or list limits. */
  limits(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.limits`;
  }

  /** Where the stream says that limits or a record of them is stored. */
  limited(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.limited.*`;
  }

  /** What the stream of limits publishes again, and as what. */
  get limitsRepublish(): { readonly src: string; readonly dest: string } {
    return { src: this.every("limits"), dest: `${this.prefix}.{{wildcard(1)}}.limited.{{wildcard(2)}}` };
  }

  /** The stream of batches. */
  get batchesStream(): string {
    return `${this.#streams}-batches`;
  }

  /** What is kept of a batch. Only managers publish there. */
  batch(pool: string, id: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.batch.${checkName("batch", id)}`;
  }

  /** All of them of one pool. */
  everyBatch(pool: string): string {
    return this.every("batch", pool);
  }

  /** To one manager: open or seal a batch, or say how batches stand. */
  batches(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.batch`;
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

  /** A job that waits for its time. Only managers publish there. */
  later(pool: string, id: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.later.${checkName("job", id)}`;
  }

  /** Where the stream publishes a job whose time has come. */
  due(pool: string, id: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.due.${checkName("job", id)}`;
  }

  /** A cron schedule. Only managers publish there. */
  cron(pool: string, name: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.cron.${checkName("cron", name)}`;
  }

  /** Where the stream publishes what a cron schedule fires. */
  fired(pool: string, name: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.fired.${checkName("cron", name)}`;
  }

  /** To one manager: set, remove or list cron schedules. */
  crons(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.cron`;
  }

  /** Whether a subject is that of a job that waits for its time, or whose time has come. */
  isLaterJob(subject: string): boolean {
    const kind = subject.split(".")[this.#depth + 1];
    return kind === "later" || kind === "due";
  }

  /** What the stream of jobs for later takes: one kind of subject. */
  everyLater(kind: "later" | "due" | "cron" | "fired", pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.${kind}.*`;
  }

  /** All that waits for its time, and all that is due. */
  allLater(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.*.*`;
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

  /** To one manager: "pause", "pause" and so many milliseconds, or "resume". */
  lane(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.lane`;
  }

  /** Where the broker tells that a consumer of the pool's jobs is paused, or goes on. */
  pauseAdvisories(pool: string): string {
    return `$JS.EVENT.ADVISORY.CONSUMER.PAUSE.${this.jobsStream(pool)}.*`;
  }

  /** What a stream takes: one kind of subject, of all pools or of one. */
  every(kind: "outcome" | "dead" | "claim" | "limits" | "batch", pool?: string): string {
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
  everyDoor(door: "enqueue" | "lookup" | "discard" | "lane" | "cron" | "limits" | "batch", pool?: string): string {
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

  /** The last token of a subject: in most of them the id of a job. */
  idOf(subject: string): string {
    return subject.slice(subject.lastIndexOf(".") + 1);
  }

  /** The pool in any subject of this mesh. */
  poolOf(subject: string): string {
    return subject.split(".")[this.#depth] ?? "";
  }
}
