/**
 * All actors of one world: starts their processes, and ends them.
 *
 * An actor (worker-1) lives through several processes (worker-1#1, worker-1#2),
 * one after another, as a service does under a supervisor.
 */
import { Bus } from "../../../mesh/link/bus.js";
import type { SimConnection } from "../../../testing/nats/client/sim-connection.js";
import type { SimNetwork } from "../../../testing/nats/network.js";
import { SimulatedProcess } from "../../../testing/sim/sim-process.js";
import { type History, traceText } from "../history.js";
import type { ActorPlan, CallerPlan, Plan, WorkerPlan } from "../plan.js";
import type { SimWorld } from "../world-clock.js";
import { type Actor, type CallerActor, makeClient, makeEmbedded, makeManager, makeWorker } from "./actors.js";
import { type ForeignParts, makeBareWorker, makeForeignWorker } from "./foreign-worker.js";
import { makeHandler, RunCounter } from "./handler.js";
import { tapConnection } from "./tap.js";

/** What an actor is made from, whatever it is. */
interface Birth {
  readonly process: SimulatedProcess;
  readonly connection: SimConnection;
}

/** An actor, and the process that it is now. */
export interface Resident {
  readonly plan: ActorPlan;
  readonly slots: number;
  readonly make: (birth: Birth) => Actor;
  births: number;
  process: SimulatedProcess | undefined;
  /** Undefined until it is connected, and after its end. */
  actor: Actor | undefined;
}

/** The mesh of one plan. */
export class SimMesh {
  readonly residents = new Map<string, Resident>();
  readonly #world: SimWorld;
  readonly #network: SimNetwork;
  readonly #history: History;
  readonly #plan: Plan;
  readonly #runs = new RunCounter();

  constructor(world: SimWorld, network: SimNetwork, history: History, plan: Plan) {
    this.#world = world;
    this.#network = network;
    this.#history = history;
    this.#plan = plan;
    for (const each of plan.managers)
      this.#add(each, 0, (birth) => makeManager(this.#bus(birth), each.name, plan.lane));
    // a bare worker takes whatever comes
    for (const each of plan.workers)
      this.#add(each, each.kind === "bare" ? 0 : each.slots, (birth) => this.#makeWorker(each, birth));
    for (const each of plan.callers) this.#add(each, 0, (birth) => this.#makeCaller(each, birth));
  }

  /** Starts all of them. */
  start(): void {
    for (const name of this.residents.keys()) this.spawn(name);
  }

  /** Starts an actor's next process, unless one lives. */
  spawn(name: string): void {
    const resident = this.residents.get(name);
    if (resident === undefined || resident.process?.alive) return;
    const { clockOffsetMs = 0, driftPpm = 0 } = resident.plan;
    resident.births += 1;
    const process = new SimulatedProcess(this.#world, {
      name: `${name}#${resident.births}`,
      seed: this.#plan.seed,
      clockOffsetMs,
      driftPpm,
    });
    resident.process = process;
    this.#history.record({ kind: "born", actor: name, process: process.name, slots: resident.slots });
    void this.#boot(resident, process).catch((error: unknown) => this.#complain(name, error));
  }

  /** kill -9. */
  kill(name: string): void {
    this.#end(name, "killed");
  }

  /** SIGTERM; it leaves when it is done. */
  term(name: string): void {
    const resident = this.residents.get(name);
    const { process, actor } = resident ?? {};
    if (process?.alive !== true) return;
    // one that is not connected yet has nothing to finish
    if (actor === undefined) return this.#end(name, "left");
    process.receive(() => {
      if (resident !== undefined) this.#leave(resident);
    });
  }

  /** Lets an actor finish, and ends its process. */
  #leave(resident: Resident): void {
    const { process, actor } = resident;
    const { name } = resident.plan;
    actor?.leave().then(
      () => resident.process === process && this.#end(name, "left"),
      (error: unknown) => this.#complain(name, error),
    );
  }

  /** The caller of this name, if it runs. */
  caller(name: string): CallerActor | undefined {
    const resident = this.residents.get(name);
    return resident?.process?.alive === true ? (resident.actor as CallerActor | undefined) : undefined;
  }

  /** Whether every process that lives can go on: none computes or is stopped. */
  get runs(): boolean {
    return [...this.residents.values()].every(({ process }) => process?.alive !== true || process.runs);
  }

  /** What is not clean at those that live. */
  unclean(): string[] {
    return [...this.residents.values()].flatMap((each) => (each.process?.alive ? (each.actor?.unclean() ?? []) : []));
  }

  /** What those that live wait for an answer to. */
  awaited(): string[] {
    return [...this.residents.values()].flatMap((each) => (each.process?.alive ? (each.actor?.awaited() ?? []) : []));
  }

  async #boot(resident: Resident, process: SimulatedProcess): Promise<void> {
    const { brokers } = this.#network;
    const first = (resident.plan.broker ?? 0) % brokers.length;
    const servers = [...brokers.slice(first), ...brokers.slice(0, first)];
    const connection = await this.#network.connect(process, { servers });
    if (!process.alive) return;
    const actor = resident.plan.name;
    tapConnection(connection, { world: this.#world, history: this.#history, actor, process });
    resident.actor = resident.make({ process, connection });
    void resident.actor.ended.then(() => resident.process === process && this.#leave(resident));
    await resident.actor.start();
  }

  #end(name: string, how: "killed" | "left"): void {
    const resident = this.residents.get(name);
    if (resident?.process?.alive !== true) return;
    const { process } = resident;
    process.kill();
    this.#network.killProcess(process);
    resident.actor = undefined;
    this.#history.record({ kind: "died", actor: name, process: process.name, how });
  }

  #add(plan: ActorPlan, slots: number, make: (birth: Birth) => Actor): void {
    this.residents.set(plan.name, { plan, slots, make, births: 0, process: undefined, actor: undefined });
  }

  #bus({ connection, process }: Birth): Bus {
    return new Bus(connection, {}, process.runtime);
  }

  #makeWorker(plan: WorkerPlan, birth: Birth): Actor {
    const { name, slots, kind = "poolmesh" } = plan;
    const parts: ForeignParts = { ...birth, history: this.#history, runs: this.#runs, id: name, slots };
    if (kind === "foreign") return makeForeignWorker(parts);
    if (kind === "bare") return makeBareWorker(parts);
    return makeWorker(this.#bus(birth), name, slots, makeHandler(name, birth.process, this.#history, this.#runs));
  }

  #makeCaller({ name, kind = "client" }: CallerPlan, birth: Birth): CallerActor {
    const bus = this.#bus(birth);
    return kind === "client" ? makeClient(bus) : makeEmbedded(bus, name);
  }

  #complain(name: string, error: unknown): void {
    this.#world.trace(traceText(name, `failed: ${String(error)}`));
  }
}
