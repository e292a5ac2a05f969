/**
 * Workers that only beat, any number of them over one connection: every second,
 * spread evenly, and on change as workers do (at once when the last change is
 * older than the coalescing time, else at its end).
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Heartbeat, heartbeatProto, Subjects } from "./services.js";

/** The time within which changes of one worker become one heartbeat, in milliseconds: the worker's default. */
export const COALESCE_MS = 50;
const INTERVAL_MS = 1_000;
const STEP_MS = 10;
/** Jobs never end here, so that the n-th start can be told from the number of busy slots. */
const SLOTS = 60_000;

interface Member {
  readonly beat: Heartbeat;
  readonly subject: string;
  changedAt: number;
  trailing: NodeJS.Timeout | undefined;
}

export class BeatingWorkers {
  readonly #nc: NatsConnection;
  readonly #members: Member[];
  readonly #schema = heartbeatProto.HeartbeatSchema;
  #timer: NodeJS.Timeout | undefined;
  #steppedAt = 0;
  #owed = 0;
  #next = 0;

  constructor(nc: NatsConnection, pool: string, count: number) {
    this.#nc = nc;
    const subjects = new Subjects();
    this.#members = Array.from({ length: count }, (_, index) => this.#make(subjects, pool, `w${index}`));
    // They are there: a probe finds somebody who listens.
    nc.subscribe(subjects.control(pool, "w0").replace(/w0$/, "*"), { callback: () => {} });
  }

  start(): void {
    for (const member of this.#members) this.#send(member);
    this.#steppedAt = performance.now();
    this.#timer = setInterval(() => this.#step(), STEP_MS);
  }

  /** One more busy slot at this worker. */
  startJob(index: number): void {
    const member = this.#members[index % this.#members.length] as Member;
    member.beat.busy += 1;
    member.beat.acceptedTotal += 1n;
    if (member.trailing !== undefined) return;
    const waitMs = member.changedAt + COALESCE_MS - performance.now();
    if (waitMs <= 0) this.#sendChange(member);
    else member.trailing = setTimeout(() => this.#sendChange(member), waitMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const { trailing } of this.#members) clearTimeout(trailing);
  }

  #make(subjects: Subjects, pool: string, worker: string): Member {
    const incarnation = BigInt(Date.now()) * 1_024n;
    const beat = create(this.#schema, {
      ...{ pool, worker, incarnation, slots: SLOTS, heartbeatIntervalMs: INTERVAL_MS },
      state: heartbeatProto.WorkerState.READY,
      isolation: heartbeatProto.Isolation.INLINE,
      ...{ host: "host.example", pid: 1, version: "0.1.0" },
    });
    return { beat, subject: subjects.heartbeat(pool, worker), changedAt: 0, trailing: undefined };
  }

  /** Lets those beat whose turn it is. */
  #step(): void {
    const now = performance.now();
    this.#owed += ((now - this.#steppedAt) / INTERVAL_MS) * this.#members.length;
    this.#steppedAt = now;
    for (this.#owed = Math.min(this.#owed, this.#members.length); this.#owed >= 1; this.#owed -= 1) {
      this.#send(this.#members[this.#next % this.#members.length] as Member);
      this.#next += 1;
    }
  }

  #sendChange(member: Member): void {
    member.changedAt = performance.now();
    this.#send(member);
  }

  #send(member: Member): void {
    clearTimeout(member.trailing);
    member.trailing = undefined;
    member.beat.seq += 1n;
    this.#nc.publish(member.subject, toBinary(this.#schema, member.beat));
  }
}
