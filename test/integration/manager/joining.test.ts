/** A manager that joins others: what they have is theirs from its first moment on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { headers, type Msg } from "nats";
import { HEADER } from "../../../mesh/wire/headers.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate, within } from "../../support/wait.js";

leakGuard();
const LIVE = 100;

function makeManager(t: Owner, id: string, url: string): ManagerService {
  const service = new ManagerService({ id, bus: { servers: url }, listen: { host: "127.0.0.1", port: 0 }, graceMs: 0 });
  cleanUp(t, () => service.stop());
  return service;
}

test("joining - an id whose job another manager runs, or has just run, is not run again by a manager that joins, whenever it comes", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const runs = new Map<string, number>();
  const hold = gate();
  const run = async ({ id, payload }: { readonly id: string; readonly payload: unknown }): Promise<number> => {
    const count = (runs.get(id) ?? 0) + 1;
    runs.set(id, count);
    if (String(payload) === "live") await hold.promise;
    return count;
  };
  const worker = new Worker({ pool: "p", slots: 4 * LIVE, run, graceMs: 0, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await makeManager(t, "m1", broker.url).start();
  const caller = await connectBus(t, broker);
  const submit = (id: string, payload: string): Promise<Msg> => {
    const said = headers();
    said.append(HEADER.jobId, id);
    return caller.nc.request("pool.p.submit", JSON.stringify(payload), { timeout: 60_000, headers: said });
  };
  const managerOf = ({ headers: said }: Msg): string => said?.get(HEADER.manager) ?? "";
  await eventually(async () => (await submit("first", "ended")).string() === "1");

  const second = makeManager(t, "m2", broker.url);
  const started = second.start();
  const waiting: Promise<Msg>[] = [];
  let [count, takenBySecond] = [0, 0];
  // Several copies: the broker gives each to either manager.
  while (takenBySecond < 10) {
    count += 1;
    const id = `id-${count}`;
    const isLive = count % 3 === 0 && count < 3 * LIVE;
    const first = submit(id, isLive ? "live" : "ended");
    if (isLive) await eventually(() => runs.has(id), { pollMs: 1 });
    else takenBySecond += managerOf(await within(first)) === "m2" ? 1 : 0;
    waiting.push(first, ...Array.from({ length: 4 }, () => submit(id, isLive ? "live" : "ended")));
    await caller.flush();
  }
  await within(started);
  hold.open();
  const texts = new Set((await within(Promise.all(waiting))).map((msg) => msg.string()));
  const again = [...runs].filter(([, times]) => times > 1);
  assert.deepEqual([again, [...texts]], [[], ["1"]]);
});

test("joining - managers that start at the same moment own each id once", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const runs = new Map<string, number>();
  const run = ({ id }: { readonly id: string }): number => {
    runs.set(id, (runs.get(id) ?? 0) + 1);
    return 1;
  };
  const services = ["m1", "m2", "m3"].map((id) => makeManager(t, id, broker.url));
  const caller = await connectBus(t, broker);
  const submit = async (id: string): Promise<Msg | undefined> => {
    const said = headers();
    said.append(HEADER.jobId, id);
    said.append(HEADER.waitForPool, "1");
    return caller.nc.request("pool.p.submit", "1", { timeout: 60_000, headers: said }).catch((error: Error) => {
      // No manager has joined yet.
      assert.match(error.message, /no responders/);
      return undefined;
    });
  };
  const started = services.map((service) => service.start());
  const waiting: Promise<Msg | undefined>[] = [];
  const ids = Array.from({ length: 50 }, (_, i) => `id-${i}`);
  // They wait for a worker from the first moment of a manager on.
  await eventually(async () => {
    const probe = submit("probe");
    waiting.push(probe);
    return (await Promise.race([probe, caller.flush().then(() => "held")])) === "held";
  });
  for (const id of ids) for (let copy = 0; copy < 3; copy += 1) waiting.push(submit(id));
  await within(Promise.all(started));
  for (const id of ids) for (let copy = 0; copy < 3; copy += 1) waiting.push(submit(id));
  await caller.flush();
  const worker = new Worker({ pool: "p", slots: 8, run, graceMs: 0, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await within(Promise.all(waiting));
  const again = [...runs].filter(([, times]) => times > 1);
  assert.deepEqual(again, []);
  assert.equal(runs.size, ids.length + 1);
});

test("joining - a manager that is told to stop while it hears the others ends, and has taken nothing", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  await makeManager(t, "m1", broker.url).start();
  const bus = await connectBus(t, broker);
  const asked = new Promise<void>((resolve) => bus.subscribe("pool._.jobs", () => resolve()));
  await bus.flush();
  const second = makeManager(t, "m2", broker.url);
  const started = second.start();
  const refused = assert.rejects(started);
  await within(asked);
  await within(second.stop());
  await within(refused);
  assert.deepEqual([second.state, second.url], ["stopped", ""]);
});
