/**
 * A seeded random mix of faults under load, then quiet.
 *
 * The same seed chooses the same faults in the same order; what they hit at that
 * instant depends on the machine. Every fault is mended before the next of its
 * kind, and all of them before the quiet.
 */
import { setTimeout as delay } from "node:timers/promises";
import { cleanUp } from "../support/clean-up.js";
import type { TcpProxy } from "../support/proxy/tcp-proxy.js";
import { seededRandom } from "../support/random.js";
import { eventually } from "../support/wait.js";
import { type TotalQueue, totalQueue } from "./invariants/outcome-rules.js";
import { LaneLoad, type LaneReport } from "./lane-load.js";
import type { Caller, Heard } from "./rig/caller.js";
import type { Order } from "./rig/handler.js";
import type { Rig } from "./rig/rig.js";
import type { Service } from "./rig/service.js";

/** How long, and which. */
export interface MixOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly workers: number;
  /** Besides, jobs are enqueued in the durable lane; default false. */
  readonly lane?: boolean;
}

/** What came of it. */
export interface MixReport {
  readonly faults: Readonly<Record<string, number>>;
  readonly queue: TotalQueue;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly lane?: LaneReport;
}

const SLOTS = 3;
const TIMEOUT_MS = 15_000;
const LANE_SEED = 1_000;

/** The world of a mix, and everything that can happen to it. */
class Mix {
  readonly #rig: Rig;
  readonly #random: () => number;
  readonly #workers = new Map<string, Service>();
  readonly #managers = new Map<string, Service>();
  readonly #proxies = new Map<string, TcpProxy>();
  /** What is being mended. */
  readonly #hurt = new Set<string>();
  readonly #mending = new Set<Promise<void>>();
  readonly faults: Record<string, number> = {};

  constructor(rig: Rig, random: () => number) {
    this.#rig = rig;
    this.#random = random;
  }

  async start(workers: number): Promise<void> {
    const ids = Array.from({ length: workers }, (_, i) => `w${i + 1}`);
    await Promise.all([
      ...ids.map((id) => this.#startWorker(id)),
      ...["m1", "m2"].map((id) => this.#startManager(id)),
      this.#rig.meter("meter"),
    ]);
  }

  /** Does one thing, and lets it mend by itself. */
  hurt(): void {
    const deeds: readonly [string, () => Promise<void>][] = [
      ["kill a worker", () => this.#killWorker()],
      ["stop a worker", () => this.#stopWorker()],
      ["pause a worker", () => this.#pause(this.#workers, 3_500)],
      ["kill a manager", () => this.#killManager()],
      ["pause a manager", () => this.#pause(this.#managers, 2_500)],
      ["kill a broker", () => this.#killBroker()],
      ["reset a link", () => this.#onLink(async (proxy) => proxy.reset())],
      ["delay a link", () => this.#badLink({ delayMs: 120 }, 2_000)],
      ["silence a link", () => this.#badLink({ mode: "drop" }, 1_500)],
      ["pause a link", () => this.#badLink({ mode: "pause" }, 1_500)],
    ];
    const [name, deed] = this.#choose(deeds);
    this.faults[name] = (this.faults[name] ?? 0) + 1;
    const mended: Promise<void> = deed().finally(() => this.#mending.delete(mended));
    this.#mending.add(mended);
  }

  /** Resolves when all is mended. */
  async mend(): Promise<void> {
    await Promise.all(this.#mending);
    for (const proxy of this.#proxies.values()) proxy.heal();
  }

  #choose<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  /** Hurts one of these that is whole; does nothing when too few are. */
  async #one<T>(
    from: ReadonlyMap<string, T>,
    keep: number,
    deed: (id: string, one: T) => Promise<void>,
  ): Promise<void> {
    const whole = [...from].filter(([id]) => !this.#hurt.has(id));
    if (whole.length <= keep) return;
    const [id, one] = this.#choose(whole);
    this.#hurt.add(id);
    await deed(id, one).finally(() => this.#hurt.delete(id));
  }

  #killWorker(): Promise<void> {
    return this.#one(this.#workers, 1, async (id, worker) => {
      await worker.kill();
      await this.#startWorker(id);
    });
  }

  #stopWorker(): Promise<void> {
    return this.#one(this.#workers, 1, async (id, worker) => {
      await worker.end();
      await this.#startWorker(id);
    });
  }

  #killManager(): Promise<void> {
    return this.#one(this.#managers, 1, async (id, manager) => {
      await manager.kill();
      await this.#startManager(id);
    });
  }

  #pause(from: ReadonlyMap<string, Service>, longestMs: number): Promise<void> {
    return this.#one(from, 1, async (_, service) => {
      service.pause();
      await delay(300 + this.#random() * longestMs);
      service.resume();
    });
  }

  #killBroker(): Promise<void> {
    const brokers = new Map(this.#rig.brokers.map((broker, i) => [`broker-${i}`, broker]));
    return this.#one(brokers, 0, async (_, broker) => {
      await broker.crash();
      await delay(200 + this.#random() * 800);
      await broker.revive();
    });
  }

  #badLink(way: Parameters<TcpProxy["set"]>[1], longestMs: number): Promise<void> {
    return this.#onLink(async (proxy) => {
      proxy.set("both", way);
      await delay(300 + this.#random() * longestMs);
      proxy.heal();
      // Bytes are missing: what is left of such a connection is of no use.
      if (way.mode === "drop") proxy.reset();
    });
  }

  #onLink(deed: (proxy: TcpProxy) => Promise<void>): Promise<void> {
    return this.#one(this.#proxies, 0, (_, proxy) => deed(proxy));
  }

  async #startWorker(id: string): Promise<void> {
    const link = `link-${id}`;
    const proxy = this.#proxies.get(link) ?? (await this.#rig.proxy(this.#rig.nextUrl()));
    this.#proxies.set(link, proxy);
    this.#workers.set(id, await this.#rig.worker(id, { slots: SLOTS, via: proxy.url, graceMs: 3_000 }));
  }

  async #startManager(id: string): Promise<void> {
    this.#managers.set(id, await this.#rig.manager(id));
  }
}

/** Runs a mix and reports it; the history holds the proof. */
export async function runMix(rig: Rig, { seed, seconds, workers, lane }: MixOptions): Promise<MixReport> {
  const random = seededRandom(seed);
  const mix = new Mix(rig, random);
  await mix.start(workers);
  const callers = [await rig.client(), await rig.client(), await rig.embedded()];
  let over = false;
  cleanUp(rig.owner, () => {
    over = true;
  });
  const loads = callers.map((caller, i) => mixedLoad(caller, seededRandom(seed + i + 1), () => over));
  const laneLoad = lane ? await LaneLoad.start(rig, seededRandom(seed + LANE_SEED)) : undefined;
  const enqueueing = laneLoad?.run(() => over);
  const endAt = performance.now() + seconds * 1_000;
  while (performance.now() < endAt) {
    await delay(300 + random() * 900);
    mix.hurt();
  }
  await mix.mend();
  over = true;
  const heard = (await Promise.all(loads)).flat();
  await enqueueing;
  await settled(rig);
  const report = await laneLoad?.rest();
  const outcomes: Record<string, number> = {};
  for (const { ok, reason } of heard)
    outcomes[ok ? "ok" : (reason ?? "")] = (outcomes[ok ? "ok" : (reason ?? "")] ?? 0) + 1;
  const seen = { faults: mix.faults, queue: totalQueue(rig.history.read()), outcomes };
  return report === undefined ? seen : { ...seen, lane: report };
}

/** Four lanes of jobs of every kind, some of them canceled. */
async function mixedLoad(caller: Caller, random: () => number, until: () => boolean): Promise<Heard[]> {
  const heard: Heard[] = [];
  const lane = async (): Promise<void> => {
    while (!until()) {
      const cancels = random() < 0.05;
      const signal = cancels ? AbortSignal.timeout(Math.round(20 + random() * 200)) : undefined;
      const idempotent = random() < 0.5;
      const outcome = await caller.submit(orderOf(random()), {
        timeoutMs: TIMEOUT_MS,
        idempotent,
        ...(signal === undefined ? {} : { signal }),
      });
      heard.push(outcome);
      if (outcome.reason === "bus_unavailable") await delay(50);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  return heard;
}

function orderOf(dice: number): Order {
  if (dice < 0.05) return { do: "throw-error" };
  if (dice < 0.1) return { do: "reject" };
  if (dice < 0.2) return { do: "wait", ms: 800, laterMs: 10 };
  if (dice < 0.6) return { do: "wait", ms: 30 };
  return { do: "return" };
}

/** Resolves when every worker is back and beats. */
async function settled(rig: Rig): Promise<void> {
  const alive = () => new Set(rig.alive().map(({ name }) => name));
  await eventually(() => rig.observer.figures(alive()).slots === rig.slotsAlive(), {
    limitMs: 20_000,
    what: "every worker to be back",
  });
}
