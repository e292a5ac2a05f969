/**
 * A mesh of many workers on the simulated network and clock: how many heartbeats its manager hears, how often it is
 * woken, and what the simulation needs. The manager, the workers and the client are the real ones; only connections and
 * time are simulated, so the counts do not depend on the machine.
 *
 *   node --import tsx scripts/measure/scale/simulated.ts [--workers 1000] [--pools 10] [--jobs-per-second 100] [--job-ms 200] [--seconds 20] [--settle 15]
 *
 * Fails when a job has no result. `--most-mb` and `--most-minutes` bound what the simulation itself may take.
 */
import { parseArgs } from "node:util";
import { Client } from "../../../client/client.js";
import { fixChurnOrder } from "../../../mesh/job/containers.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { Bus } from "../../../mesh/link/bus.js";
import { ServiceApi } from "../../../mesh/link/service-api.js";
import { SERVICE_NAMES } from "../../../mesh/wire/subjects.js";
import { toPoolSettings } from "../../../services/manager/manager.js";
import { Pools } from "../../../services/manager/pools.js";
import { Worker } from "../../../services/worker/worker.js";
import { inMacrotask } from "../../../test/sim/clock/microtasks.js";
import { sealed } from "../../../test/sim/clock/surroundings.js";
import { SimWorld } from "../../../test/sim/world-clock.js";
import type { SimConnection } from "../../../testing/nats/client/sim-connection.js";
import { SimNetwork } from "../../../testing/nats/network.js";
import { SimulatedProcess } from "../../../testing/sim/sim-process.js";

const { values } = parseArgs({
  options: {
    workers: { type: "string", default: "1000" },
    pools: { type: "string", default: "10" },
    slots: { type: "string", default: "1" },
    "jobs-per-second": { type: "string", default: "100" },
    "job-ms": { type: "string", default: "200" },
    seconds: { type: "string", default: "20" },
    settle: { type: "string", default: "15" },
    seed: { type: "string", default: "1" },
    "most-mb": { type: "string", default: "8000" },
    "most-minutes": { type: "string", default: "30" },
  },
});
const asked = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)])) as Record<
  keyof typeof values,
  number
>;
const { workers, pools, slots, seconds, settle, seed } = asked;
/** The workers start one after another within this time, in simulated milliseconds. */
const START_WITHIN_MS = 5_000;
/** Simulated milliseconds between two looks at memory and time. */
const LOOK_EVERY_MS = 1_000;

/** The instants at which a process had something to do, and what came to it. */
class Watch {
  readonly #instants = new Set<number>();
  wakes = 0;
  heartbeats = 0;

  constructor(
    readonly world: SimWorld,
    process: SimulatedProcess,
    connection: SimConnection,
  ) {
    const { runtime } = process;
    const { after, every } = runtime;
    const woken = (work: () => void) => (): void => {
      this.#note();
      work();
    };
    runtime.after = (ms, work, background) => after(ms, woken(work), background);
    runtime.every = (ms, work) => every(ms, woken(work));
    const receive = process.receive.bind(process);
    process.receive = (work) => receive(woken(work));
    const subscribe = connection.subscribe.bind(connection);
    connection.subscribe = (subject, options) => {
      const { callback } = options ?? {};
      if (callback === undefined || !subject.includes(".heartbeat.")) return subscribe(subject, options);
      const counted: typeof callback = (error, msg) => {
        this.heartbeats += 1;
        callback(error, msg);
      };
      return subscribe(subject, { ...options, callback: counted });
    };
  }

  reset(): void {
    this.wakes = 0;
    this.heartbeats = 0;
    this.#instants.clear();
  }

  #note(): void {
    const atMs = this.world.now();
    if (this.#instants.has(atMs)) return;
    this.#instants.clear();
    this.#instants.add(atMs);
    this.wakes += 1;
  }
}

class Simulation {
  readonly world = new SimWorld({ seed });
  readonly network = new SimNetwork(this.world);
  watch: Watch | undefined;
  clients: Client[] = [];
  readonly outcomes = { ok: 0, submitted: 0 };
  readonly errors: string[] = [];
  #heldBack = "";

  constructor() {
    this.network.addBroker("nats-1");
  }

  async startManager(): Promise<void> {
    const { process, connection, bus } = await this.#connect("manager");
    this.watch = new Watch(this.world, process, connection);
    const settings = toPoolSettings({});
    await new Pools({ bus, id: "manager", servesSubmit: true, settings, maxPools: pools, graceMs: 0 }).start();
    // Clients ask it whether the manager that has their jobs is there.
    const says = { version: "0.0.0", metadata: {}, endpoints: () => [] };
    await new ServiceApi({ bus, name: SERVICE_NAMES.manager, id: "manager", ...says }).start();
  }

  async startClients(): Promise<void> {
    const { bus } = await this.#connect("client");
    for (let i = 0; i < pools; i += 1) {
      const client = new Client({ pool: `p${i}`, connection: bus });
      await client.start();
      this.clients.push(client);
    }
  }

  async startWorker(index: number): Promise<void> {
    const { bus } = await this.#connect(`w${index}`);
    const { runtime } = bus;
    const worker = new Worker<number>({
      pool: `p${index % pools}`,
      id: `w${index}`,
      slots,
      run: ({ payload }) => new Promise((resolve) => void runtime.after(payload, () => resolve(null))),
    });
    worker.useBus(bus);
    await worker.start();
  }

  /** Jobs at random instants, from now on until a time. */
  submitUntil(endMs: number): void {
    const perSecond = asked["jobs-per-second"];
    if (perSecond === 0 || this.world.now() >= endMs) return;
    const waitMs = (-Math.log(1 - this.world.random()) * 1_000) / perSecond;
    this.world.at(this.world.now() + waitMs, () => {
      if (this.world.now() >= endMs) return;
      const client = this.clients[Math.floor(this.world.random() * pools)] as Client;
      this.outcomes.submitted += 1;
      client.detachSubmit(asked["job-ms"], { onOutcome: (outcome) => this.#ended(outcome) });
      this.submitUntil(endMs);
    });
  }

  #ended(outcome: Outcome): void {
    if (outcome.ok) this.outcomes.ok += 1;
    else this.errors.push(`${this.world.now().toFixed(0)} ms: ${outcome.error.reason}: ${outcome.error.message}`);
  }

  /** @throws Error when the simulation takes more than it may */
  run(untilMs: number, began: bigint, now: () => bigint): void {
    while (this.world.now() < untilMs) {
      this.world.run(Math.min(untilMs, this.world.now() + LOOK_EVERY_MS));
      const mb = process.memoryUsage.rss() / 2 ** 20;
      if (mb > asked["most-mb"]) this.#heldBack = `${mb.toFixed(0)} MB`;
      const minutes = Number(now() - began) / 6e10;
      if (minutes > asked["most-minutes"]) this.#heldBack = `${minutes.toFixed(1)} minutes`;
      if (this.#heldBack !== "") throw new Error(`the simulation needs more than it may: ${this.#heldBack}`);
    }
  }

  async #connect(name: string) {
    const process = new SimulatedProcess(this.world, { name, seed });
    const connection = await this.network.connect(process);
    return { process, connection, bus: new Bus(connection, {}, process.runtime) };
  }
}

function play(now: () => bigint): string {
  const began = now();
  fixChurnOrder(seed);
  const simulation = new Simulation();
  const { world, outcomes } = simulation;
  void simulation.startManager();
  world.at(50, () => void simulation.startClients());
  for (let i = 0; i < workers; i += 1) {
    world.at(100 + (i * START_WITHIN_MS) / workers, () => void simulation.startWorker(i));
  }
  simulation.run(START_WITHIN_MS + settle * 1_000, began, now);
  const startedS = Number(now() - began) / 1e9;
  const watch = simulation.watch as Watch;
  watch.reset();
  const endMs = world.now() + seconds * 1_000;
  simulation.submitUntil(endMs);
  simulation.run(endMs, began, now);
  const { wakes, heartbeats } = watch;
  simulation.run(endMs + 10_000, began, now);
  const { submitted, ok } = outcomes;
  if (ok !== submitted) {
    const [first] = simulation.errors;
    throw new Error(`${submitted} jobs, ${ok} results, ${simulation.errors.length} errors, such as: ${first}`);
  }
  const perJob = submitted === 0 ? "" : ` ${(wakes / submitted).toFixed(2)} for a job,`;
  return [
    `${workers} workers in ${pools} pools, ${asked["jobs-per-second"]} jobs/s of ${asked["job-ms"]} ms, ${seconds} s`,
    `  heartbeats at the manager  ${(heartbeats / seconds).toFixed(1)} a second`,
    `  wakes of the manager       ${(wakes / seconds).toFixed(1)} a second,${perJob} with nothing else on the machine`,
    `  jobs                       ${submitted}, all with a result`,
    `  simulation                 ${world.events} events, ${startedS.toFixed(0)} s of processor time to start it, ` +
      `${(Number(now() - began) / 1e9).toFixed(0)} s in all, ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MB`,
  ].join("\n");
}

/** Processor time of this process so far, in nanoseconds. */
function processorTime(): bigint {
  const { user, system } = process.cpuUsage();
  return BigInt(user + system) * 1_000n;
}

console.log(await inMacrotask(() => sealed(() => play(processorTime))));
