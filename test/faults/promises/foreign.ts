/** Workers in other languages, and workers that lose a permission. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { Bus } from "../../../mesh/link/bus.js";
import { connectBus } from "../../support/broker.js";
import { CONTROL_TOKEN } from "../../support/doors/control-token.js";
import { eventually } from "../../support/wait.js";
import { assertEnded } from "../rig/caller.js";
import type { Order } from "../rig/handler.js";
import { POOL } from "../rig/pool.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";

/** A worker as another language would write it: JSON heartbeats that list a job before it is accepted. */
class Foreign {
  readonly #bus: Bus;
  readonly #rig: Rig;
  readonly #slots: number;
  readonly #running = new Set<string>();
  #seq = 0;

  constructor(rig: Rig, bus: Bus, slots: number, control: () => string) {
    this.#rig = rig;
    this.#bus = bus;
    this.#slots = slots;
    rig.history.add({ kind: "worker", worker: "f1", slots });
    for (const subject of [`pool.${POOL}.job`, `pool.${POOL}.job.f1`]) {
      bus.subscribe(subject, (msg) => void this.#take(msg), subject.endsWith(".f1") ? undefined : "workers");
    }
    bus.subscribe(`pool.${POOL}.control.f1`, (msg) => void msg.respond(control()));
  }

  beat(state = "READY"): void {
    this.#seq += 1;
    const beat = {
      pool: POOL,
      worker: "f1",
      incarnation: 1,
      seq: this.#seq,
      state: `WORKER_STATE_${state}`,
      slots: this.#slots,
      busy: this.#running.size,
      runningJobs: [...this.#running],
    };
    this.#bus.publish(`pool.${POOL}.heartbeat.f1`, Buffer.from(JSON.stringify(beat)));
  }

  async #take(msg: { reply?: string; data: Uint8Array; headers?: { get(name: string): string } }): Promise<void> {
    const { headers } = await import("nats");
    const id = msg.headers?.get("Pool-Job-Id") ?? "";
    const attempt = Number(msg.headers?.get("Pool-Attempt") ?? 1);
    const say = (kind: string, payload = ""): void => {
      const said = headers();
      const free = String(this.#slots - this.#running.size);
      for (const [name, value] of [
        ["Pool-Reply", kind],
        ["Pool-Worker", "f1"],
        ["Pool-Free", free],
      ] as const)
        said.set(name, value);
      said.set("Pool-Job-Id", id);
      said.set("Pool-Attempt", String(attempt));
      this.#bus.publish(msg.reply ?? "", Buffer.from(payload), { headers: said });
    };
    if (this.#running.size >= this.#slots) return say("busy");
    this.#running.add(id);
    const who = { id, attempt, worker: "f1", pid: process.pid };
    this.#rig.history.add({ kind: "start", ...who });
    const order = JSON.parse(Buffer.from(msg.data).toString()) as Order;
    this.beat();
    await delay(50);
    say("accepted");
    await delay(order.ms ?? 0);
    this.#running.delete(id);
    this.#rig.history.add({ kind: "end", ...who, how: "returned" });
    say("result", JSON.stringify({ ...who, echo: order.echo }));
  }
}

async function startForeign(rig: Rig, slots: number, control: () => string): Promise<Foreign> {
  const bus = await connectBus(rig.owner, { url: rig.nextUrl() });
  const worker = new Foreign(rig, bus, slots, control);
  const beating = setInterval(() => worker.beat(), 500);
  rig.owner.after(() => clearInterval(beating));
  await bus.flush();
  worker.beat();
  return worker;
}

const beatsFirst: Scenario = {
  id: "X20",
  fault: "a worker that lists a job in a heartbeat before it accepts it has no slot that stands idle beside a job",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    const caller = await rig.embedded();
    await startForeign(rig, 2, () => "");
    await rig.sees(caller, 2);
    const ms = 300;
    let longest = Number.POSITIVE_INFINITY;
    // A machine that stands still makes one round longer, and a slot that stands idle makes each.
    for (let round = 0; round < 3; round += 1) {
      const heard = await caller.load({ jobs: 6, window: 6, order: { do: "wait", ms } });
      assertEnded(heard, { ok: 6 });
      longest = Math.min(longest, Math.max(...heard.map(({ afterMs }) => afterMs)));
    }
    // Three after one another in each of two slots, each with its 50 ms; a slot that waits a beat adds 250 ms and more.
    assert.ok(longest < 3 * (ms + 50) + 240, `the last one came after ${longest} ms`);
    return `three times 6 jobs in 2 slots, at best within ${Math.round(longest)} ms of ${3 * (ms + 50)} ms`;
  },
};

const control: Scenario = {
  id: "X21",
  fault: "a foreign worker may answer control with nothing or JSON; a bad answer is one error, and few lines",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    let says = "";
    const manager = await rig.manager("m1", { env: { CONTROL_TOKEN } });
    await startForeign(rig, 1, () => says);
    const pause = async (): Promise<string> => {
      const url = `${manager.url}/poolmesh.v1.ManagerService/PauseWorker`;
      const body = JSON.stringify({ selector: { pool: POOL, worker: "f1" } });
      const headers = { "content-type": "application/json", authorization: `Bearer ${CONTROL_TOKEN}` };
      const answer = await fetch(url, { method: "POST", headers, body });
      return `${answer.status} ${await answer.text()}`;
    };
    await eventually(async () => (await pause()).startsWith("200"), { what: "the worker to be known" });
    says = JSON.stringify({ worker: { pool: POOL, worker: "f1", state: "WORKER_STATE_PAUSED" } });
    assert.match(await pause(), /^200 .*WORKER_STATE_PAUSED/);
    says = "\u0001\u0002 no answer at all";
    const bad = await pause();
    assert.match(bad, /worker f1 gave an answer that is not a ControlResponse/, bad);
    const caller = await rig.client();
    await caller.load({ jobs: 10, window: 1, order: { do: "wait", ms: 10 } });
    const lines = manager.process.stdout.split("\n").length;
    assert.ok(lines < 40, `${lines} lines`);
    return `nothing and JSON are understood; garbage is one error that names the worker; ${lines} lines`;
  },
};

/** All of them. */
export const foreign: readonly Scenario[] = [beatsFirst, control];
