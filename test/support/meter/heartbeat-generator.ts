/**
 * Workers that only beat: any number of them over one connection, to see what a
 * reader of heartbeats makes of them. They beat every interval, spread evenly
 * over it, and on change as workers do: at once when the last one is older than
 * the coalescing time, else at its end. They answer probes while they are there.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ControlRequestSchema, ControlResponseSchema } from "../../../gen/poolmesh/v1/control_pb.js";
import { type Heartbeat, HeartbeatSchema, Isolation, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Subscription } from "../../../mesh/link/subscription.js";
import { Subjects } from "../../../mesh/wire/subjects.js";

/** How they are made. */
export interface GeneratorOptions {
  readonly pool?: string;
  /** How many; default 1. */
  readonly workers?: number;
  /** Slots of each; default 4. */
  readonly slots?: number;
  /** Default 1,000. */
  readonly intervalMs?: number;
  /** Default 50. */
  readonly coalesceMs?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Share of heartbeats that never reach the broker, 0 to 1; default 0. */
  readonly loss?: number;
  readonly random?: () => number;
  /** Default true. */
  readonly answersProbes?: boolean;
}

/** How often the due part of them beats, in milliseconds. */
const STEP_MS = 10;

/** One simulated worker. */
export class BeatingWorker {
  beat: Heartbeat;
  /** False: says nothing and is not there. */
  alive = true;
  #changedMs = Number.NEGATIVE_INFINITY;
  #trailing: NodeJS.Timeout | undefined;

  constructor(
    beat: Heartbeat,
    readonly coalesceMs: number,
    readonly send: (beat: Heartbeat) => void,
  ) {
    this.beat = beat;
  }

  /** Changes what it says, and beats as a worker does on change. */
  change(fields: Partial<Omit<Heartbeat, "$typeName">>): void {
    Object.assign(this.beat, fields);
    if (this.#trailing !== undefined) return;
    const waitMs = this.#changedMs + this.coalesceMs - performance.now();
    if (waitMs <= 0) this.#beatChange();
    else this.#trailing = setTimeout(() => this.#beatChange(), waitMs);
  }

  startJob(): void {
    this.change({ busy: this.beat.busy + 1, acceptedTotal: this.beat.acceptedTotal + 1n });
  }

  endJob(): void {
    this.change({ busy: this.beat.busy - 1, jobsDone: this.beat.jobsDone + 1n });
  }

  /** The process ends and another starts under the same id. */
  restart(): void {
    const incarnation = this.beat.incarnation + 1_024n;
    const { pool, worker, slots, labels, heartbeatIntervalMs } = this.beat;
    const state = WorkerState.READY;
    this.alive = true;
    this.beat = create(HeartbeatSchema, { pool, worker, slots, labels, heartbeatIntervalMs, incarnation, state });
    this.beatNow();
  }

  beatNow(): void {
    clearTimeout(this.#trailing);
    this.#trailing = undefined;
    if (!this.alive) return;
    this.beat.seq += 1n;
    this.send(this.beat);
  }

  stop(): void {
    clearTimeout(this.#trailing);
    this.#trailing = undefined;
  }

  #beatChange(): void {
    this.#changedMs = performance.now();
    this.beatNow();
  }
}

/** Makes workers beat until stopped. */
export class HeartbeatGenerator {
  readonly workers: BeatingWorker[];
  readonly #bus: Bus;
  readonly #subjects: Subjects;
  readonly #options: Required<GeneratorOptions>;
  #timer: NodeJS.Timeout | undefined;
  #control: Subscription[] = [];
  #next = 0;
  #owed = 0;
  #steppedMs = 0;
  sent = 0;

  constructor(bus: Bus, options: GeneratorOptions = {}) {
    this.#bus = bus;
    this.#subjects = new Subjects();
    this.#options = {
      pool: options.pool ?? "adder",
      workers: options.workers ?? 1,
      slots: options.slots ?? 4,
      intervalMs: options.intervalMs ?? 1_000,
      coalesceMs: options.coalesceMs ?? 50,
      labels: options.labels ?? {},
      loss: options.loss ?? 0,
      random: options.random ?? Math.random,
      answersProbes: options.answersProbes ?? true,
    };
    this.workers = Array.from({ length: this.#options.workers }, (_, i) => this.#make(i));
  }

  /** All beat once, then each every interval. */
  start(): void {
    if (this.#options.answersProbes) this.#answer();
    for (const worker of this.workers) worker.beatNow();
    this.#steppedMs = performance.now();
    this.#timer = setInterval(() => this.#step(), STEP_MS);
  }

  /** All processes are gone at once, without a word. */
  vanish(): void {
    this.stop();
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const worker of this.workers) worker.stop();
    for (const subscription of this.#control) if (!subscription.isClosed) subscription.unsubscribe();
    this.#control = [];
  }

  #make(index: number): BeatingWorker {
    const { pool, slots, labels, intervalMs, coalesceMs } = this.#options;
    const beat = create(HeartbeatSchema, {
      pool,
      worker: `w${index}`,
      incarnation: BigInt(Date.now()) * 1_024n,
      state: WorkerState.READY,
      slots,
      isolation: Isolation.INLINE,
      host: `host-${index % 50}.example`,
      pid: 1_000 + index,
      version: "0.1.0",
      labels: { ...labels },
      heartbeatIntervalMs: intervalMs,
      loopLagMs: 0.5,
    });
    return new BeatingWorker(beat, coalesceMs, (each) => this.#send(each));
  }

  #send(beat: Heartbeat): void {
    this.sent += 1;
    if (this.#options.loss > 0 && this.#options.random() < this.#options.loss) return;
    this.#bus.publish(this.#subjects.heartbeat(beat.pool, beat.worker), toBinary(HeartbeatSchema, beat));
  }

  /** Lets those beat whose turn it is. */
  #step(): void {
    const nowMs = performance.now();
    this.#owed += ((nowMs - this.#steppedMs) / this.#options.intervalMs) * this.workers.length;
    this.#steppedMs = nowMs;
    for (this.#owed = Math.min(this.#owed, this.workers.length); this.#owed >= 1; this.#owed -= 1) {
      this.workers[this.#next % this.workers.length]?.beatNow();
      this.#next += 1;
    }
  }

  /** One subscription for each worker that is there, as in real life: without it there is no responder. */
  #answer(): void {
    for (const worker of this.workers) {
      const subject = this.#subjects.control(worker.beat.pool, worker.beat.worker);
      const subscription = this.#bus.subscribe(subject, (msg) => {
        if (fromBinary(ControlRequestSchema, msg.data).op.case !== "probe") return;
        if (worker.alive)
          msg.respond(toBinary(ControlResponseSchema, create(ControlResponseSchema, { worker: worker.beat })));
      });
      this.#control.push(subscription);
    }
  }
}
