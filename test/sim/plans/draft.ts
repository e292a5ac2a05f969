/** A plan while it is drawn. */
import type { ActorPlan, CallerPlan, JobPlan, Plan, Step, WorkerPlan } from "../plan.js";
import type { Draw } from "./draw.js";

/** A step whose time is still to be drawn. */
export type Untimed<S extends Step = Step> = S extends Step ? Omit<S, "atMs"> : never;

/** A submission of a draft. */
export type Submit = Extract<Step, { do: "submit" }>;

/** The actors of a draft. */
interface Cast {
  managers: ActorPlan[];
  workers: WorkerPlan[];
  callers: CallerPlan[];
}

export class Draft {
  readonly draw: Draw;
  readonly #seed: number;
  readonly brokers: number;
  readonly #cast: Cast;
  readonly #fromMs: number;
  readonly #toMs: number;
  #steps: Step[] = [];
  #numbers = 0;

  /** @param spanMs when faults happen, true time */
  constructor(draw: Draw, seed: number, brokers: number, cast: Cast, spanMs: readonly [from: number, to: number]) {
    this.draw = draw;
    this.#seed = seed;
    this.brokers = brokers;
    this.#cast = cast;
    [this.#fromMs, this.#toMs] = spanMs;
  }

  manager(): string {
    return this.draw.one(this.#cast.managers).name;
  }

  worker(): string {
    return this.draw.one(this.#cast.workers).name;
  }

  caller(): string {
    return this.draw.one(this.#cast.callers).name;
  }

  anybody(): string {
    return this.draw.chance(0.5) ? this.worker() : this.draw.chance(0.7) ? this.manager() : this.caller();
  }

  broker(): number {
    return this.draw.int(0, this.brokers - 1);
  }

  nextNumber(): number {
    this.#numbers += 1;
    return this.#numbers;
  }

  /** Adds a step at a time that is drawn. */
  step(step: Untimed): void {
    this.#steps.push({ ...step, atMs: this.draw.int(this.#fromMs, this.#toMs) } as Step);
  }

  submit(atMs: number, caller: string, job: JobPlan): void {
    this.#steps.push({ do: "submit", atMs, caller, job });
  }

  cancel(atMs: number, { caller, job }: Submit): void {
    this.#steps.push({ do: "cancel", atMs, caller, number: job.number });
  }

  anyJob(): Submit | undefined {
    const submits = this.#submits();
    return submits.length === 0 ? undefined : this.draw.one(submits);
  }

  /** One job in three, and at least one. */
  someJobs(): Submit[] {
    const submits = this.#submits();
    const some = submits.filter(() => this.draw.chance(0.33));
    return some.length > 0 ? some : submits.slice(0, 1);
  }

  /** Changes a job, in each of its submissions: the same number is the same payload. */
  change(submit: Submit, job: Partial<JobPlan>): void {
    const { number } = submit.job;
    this.#steps = this.#steps.map((step) =>
      step.do === "submit" && step.job.number === number ? { ...step, job: { ...step.job, ...job } } : step,
    );
  }

  clock(name: string, clockOffsetMs: number): void {
    this.#changeActor(name, { clockOffsetMs });
  }

  drift(name: string, driftPpm: number): void {
    this.#changeActor(name, { driftPpm });
  }

  /** Changes all workers, or the first one only. */
  changeWorkers(which: "all" | "first", change: Partial<WorkerPlan>): void {
    this.#cast.workers = this.#cast.workers.map((each, i) =>
      which === "all" || i === 0 ? { ...each, ...change } : each,
    );
  }

  /** The plan, its steps in the order of their times. */
  finish(): Plan {
    const steps = [...this.#steps].sort((a, b) => a.atMs - b.atMs);
    return { seed: this.#seed, brokers: this.brokers, ...this.#cast, steps };
  }

  #submits(): Submit[] {
    return this.#steps.filter((step) => step.do === "submit");
  }

  #changeActor(name: string, change: Partial<ActorPlan>): void {
    const apply = <A extends ActorPlan>(each: A): A => (each.name === name ? { ...each, ...change } : each);
    this.#cast.managers = this.#cast.managers.map(apply);
    this.#cast.workers = this.#cast.workers.map(apply);
    this.#cast.callers = this.#cast.callers.map(apply);
  }
}
