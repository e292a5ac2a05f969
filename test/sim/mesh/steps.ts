/** Carries out the steps of a plan: each fault begins here, and ends by itself. */

import type { SimulatedProcess } from "../../../testing/sim/sim-process.js";
import { type HeardOutcome, traceText } from "../history.js";
import { describeStep, endOf, type JobPlan, type Plan, type Step } from "../plan.js";
import type { StageParts } from "./stage-parts.js";
import { Operator, startStranger } from "./strangers.js";

/** A lame duck closes its first client after so long, and the next ones after so long, milliseconds. */
const LAME_DUCK = { graceMs: 1_000, closeEveryMs: 1_000 };
/** How long an attempt to connect over a link that is down takes, milliseconds. */
const REFUSE_EVERY_MS = 10;
/** How a link is when nothing is wrong with it. */
const GOOD_LINK = { delayMs: 0.2, bytesPerMs: Number.POSITIVE_INFINITY };

/** When limits are set: the mesh has started, and no job has come, milliseconds. */
const LIMITS_AT_MS = 700;

type StepOf<D extends Step["do"]> = Extract<Step, { do: D }>;

/** The stage on which a plan is played. */
export class Stage {
  readonly #parts: StageParts;
  readonly #operator: Operator;
  /** The id of the last submission of each payload number, to cancel it. */
  readonly #ids = new Map<string, string>();
  #submissions = 0;
  #enqueued = 0;
  #strangers = 0;
  #streams = 0;

  constructor(parts: StageParts) {
    this.#parts = parts;
    this.#operator = new Operator(parts);
  }

  /** Schedules all steps. */
  play(plan: Plan): void {
    const { limits } = plan;
    if (limits !== undefined) this.#parts.world.at(LIMITS_AT_MS, () => void this.#operator.limit(limits));
    for (const step of plan.steps) this.#parts.world.at(step.atMs, () => this.#do(step));
  }

  #do(step: Step): void {
    if (step.do === "submit") return this.#submit(step.caller, step.job);
    if (step.do === "enqueue") return this.#enqueue(step.caller, step.job);
    if (step.do === "batch") return this.#batch(step);
    this.#parts.history.record({ kind: "step", step });
    this.#begin(step);
    const endsAtMs = endOf(step);
    if (endsAtMs === step.atMs) return;
    this.#parts.world.at(endsAtMs, () => {
      this.#parts.world.trace(traceText("PLAN", `end of: ${describeStep(step)}`));
    });
  }

  #begin(step: Exclude<Step, StepOf<"submit" | "enqueue" | "batch">>): void {
    const { mesh, network } = this.#parts;
    switch (step.do) {
      case "cancel":
        return this.#cancel(step.caller, step.number);
      case "kill":
        mesh.kill(step.process);
        return this.#restart(step);
      case "term":
        mesh.term(step.process);
        return this.#restart(step);
      case "drain":
        this.#operator.tell(step.process, "drain");
        return this.#restart(step);
      case "pause-taking":
        this.#operator.tell(step.process, "pause");
        return this.#at(endOf(step), () => this.#operator.tell(step.process, "resume"));
      case "stream":
        return this.#stream(step);
      case "stranger":
        this.#strangers += 1;
        return startStranger(this.#parts, step, this.#strangers);
      case "kill-broker":
        network.killBroker(this.#broker(step.broker), step.losesMs, step.keepsConsumers);
        return this.#startBroker(step.broker, endOf(step));
      case "pause-broker":
        network.pauseBroker(this.#broker(step.broker));
        return this.#at(endOf(step), () => network.resumeBroker(this.#broker(step.broker)));
      case "lame-duck":
        network.lameDuck(this.#broker(step.broker), LAME_DUCK);
        return this.#startBroker(step.broker, endOf(step));
      default:
        return this.#harm(step);
    }
  }

  /** Faults of one process and of its link. */
  #harm(step: StepOf<"pause" | "block" | "set-clock" | "hold" | "delay" | "slow" | "cut" | "down" | "reset">): void {
    const { mesh, network } = this.#parts;
    const process = mesh.residents.get(step.process)?.process;
    if (process?.alive !== true) return;
    const { direction } = step as StepOf<"hold">;
    const part = direction === undefined ? {} : { direction };
    const end = (work: (process: SimulatedProcess) => void): void => this.#at(endOf(step), () => work(process));
    switch (step.do) {
      case "pause":
        process.stop();
        return end((each) => each.goOn());
      case "block":
        return process.receive(() => process.block(step.forMs));
      case "set-clock":
        return process.stepWallClock(step.byMs);
      case "hold":
        network.holdLink(process, part);
        return end((each) => network.releaseLink(each, part));
      case "delay":
        network.setLink(process, { delayMs: step.ms });
        return end((each) => network.setLink(each, GOOD_LINK));
      case "slow":
        network.setLink(process, { bytesPerMs: step.bytesPerMs });
        return end((each) => network.setLink(each, GOOD_LINK));
      case "cut":
        network.cutLink(process);
        return end((each) => network.healLink(each));
      case "down":
        return this.#takeDown(process, endOf(step));
      case "reset":
        return network.resetLink(process);
    }
  }

  /** Its link swallows everything, and each attempt to connect is reset after a moment. */
  #takeDown(process: SimulatedProcess, untilMs: number): void {
    const { world, network } = this.#parts;
    network.cutLink(process);
    const reset = (): void => {
      network.resetLink(process);
      if (world.now() >= untilMs) network.healLink(process);
      else world.at(Math.min(untilMs, world.now() + REFUSE_EVERY_MS), reset);
    };
    reset();
  }

  #submit(caller: string, job: JobPlan): void {
    const { mesh, history } = this.#parts;
    const actor = mesh.caller(caller);
    const process = mesh.residents.get(caller)?.process;
    if (actor === undefined || process === undefined) return;
    process.receive(() => {
      this.#submissions += 1;
      const submission = this.#submissions;
      history.record({ kind: "submit", caller, process: process.name, submission, job });
      const hear = (heard: HeardOutcome): void => history.record({ kind: "outcome", caller, submission, ...heard });
      this.#ids.set(`${caller} ${job.number}`, actor.submit(job, hear));
    });
  }

  #enqueue(caller: string, job: JobPlan): void {
    const { mesh, history } = this.#parts;
    const actor = mesh.caller(caller);
    const process = mesh.residents.get(caller)?.process;
    if (actor?.enqueue === undefined || process === undefined) return;
    process.receive(() => {
      this.#enqueued += 1;
      const about = { caller, enqueued: this.#enqueued };
      history.record({ kind: "enqueue", ...about, process: process.name, job });
      actor.enqueue?.(job, {
        onReceipt: (id) => history.record({ kind: "receipt", ...about, id, reason: "", maybeStored: true }),
        onRefused: (reason, maybeStored) => history.record({ kind: "receipt", ...about, id: "", reason, maybeStored }),
        onEnd: (heard) => history.record({ kind: "ended", ...about, ...heard }),
      });
    });
  }

  #batch({ caller, id: batch, jobs }: StepOf<"batch">): void {
    const { mesh, history } = this.#parts;
    const actor = mesh.caller(caller);
    const process = mesh.residents.get(caller)?.process;
    if (actor?.enqueueBatch === undefined || process === undefined) return;
    process.receive(() => {
      history.record({ kind: "batch", caller, process: process.name, batch, jobs });
      actor.enqueueBatch?.(batch, jobs, (reason) => history.record({ kind: "batched", caller, batch, reason }));
    });
  }

  #cancel(caller: string, number: number): void {
    const { mesh, history } = this.#parts;
    const actor = mesh.caller(caller);
    const process = mesh.residents.get(caller)?.process;
    const id = this.#ids.get(`${caller} ${number}`) ?? "";
    if (actor === undefined || process === undefined || id === "") return;
    process.receive(() => {
      history.record({ kind: "cancel", caller, process: process.name, id });
      const about = { process: process.name, id };
      actor.cancel(id, (reason) => history.record({ kind: "cancel-settled", ...about, reason }));
    });
  }

  #restart(step: StepOf<"kill" | "term" | "drain">): void {
    if (step.restartAfterMs === undefined) return;
    this.#at(endOf(step), () => {
      this.#parts.mesh.kill(step.process);
      this.#parts.mesh.spawn(step.process);
    });
  }

  #startBroker(broker: number, atMs: number): void {
    const { network } = this.#parts;
    const name = this.#broker(broker);
    this.#at(atMs, () => {
      if (network.isRunning(name)) network.killBroker(name);
      network.startBroker(name);
    });
  }

  #stream(step: StepOf<"stream">): void {
    const { network } = this.#parts;
    this.#streams += 1;
    const name = `AUDIT${this.#streams}`;
    network.addStream(name, step.subjects);
    this.#at(endOf(step), () => network.removeStream(name));
  }

  #broker(index: number): string {
    const { brokers } = this.#parts.network;
    return brokers[index % brokers.length] as string;
  }

  #at(atMs: number, work: () => void): void {
    this.#parts.world.at(atMs, work);
  }
}
