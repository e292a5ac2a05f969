/** Who comes back after a moment keeps what is its own: an owner its ids, a worker what its new process took. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { headers, type Msg } from "nats";
import { HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { decodeJobHeaders, encodeReplyHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();

async function startManager(t: Owner, id: string, url: string): Promise<ManagerService> {
  const listen = { host: "127.0.0.1", port: 0 };
  const service = new ManagerService({ id, bus: { servers: url }, listen, graceMs: 100 });
  cleanUp(t, () => service.stop());
  await service.start();
  return service;
}

/** Breaks the link of a manager, and heals it when the manager has noticed that. @returns resolves when it is back */
async function breakLink(proxy: TcpProxy, { url }: ManagerService, meanwhile: () => Promise<void>): Promise<void> {
  const isReady = async (): Promise<boolean> => (await fetch(`${url}/readyz`)).ok;
  proxy.reset({ refuse: true });
  await eventually(async () => !(await isReady()));
  await meanwhile();
  proxy.heal();
  await eventually(isReady);
}

async function startProxy(t: Owner, url: string): Promise<TcpProxy> {
  const proxy = new TcpProxy(url);
  cleanUp(t, () => proxy.stop());
  await proxy.start();
  return proxy;
}

test("restarts - an owner that reconnects keeps its ids: what came to another manager meanwhile runs once", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const proxy = await startProxy(t, broker.url);
  const runs = new Map<string, number>();
  const run = (job: { readonly id: string }): number => {
    const count = (runs.get(job.id) ?? 0) + 1;
    runs.set(job.id, count);
    return count;
  };
  const worker = new Worker({ pool: "p", slots: 8, run, graceMs: 100, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await startManager(t, "m1", broker.url);
  const owner = await startManager(t, "m2", proxy.url);
  const caller = await connectBus(t, broker);
  const submit = async (id: string, to = "pool.p.submit"): Promise<Msg> => {
    const said = headers();
    said.append(HEADER.jobId, id);
    return caller.nc.request(to, "1", { headers: said, timeout: 20_000 });
  };
  let next = 0;
  const idOf = (manager: string): string => {
    for (;;) {
      next += 1;
      if (ownerOf(["m1", "m2"], "p", `id-${next}`) === manager) return `id-${next}`;
    }
  };
  const takenBy = async (id: string): Promise<string> => (await submit(id)).headers?.get(HEADER.manager) ?? "";
  const agree = async (): Promise<boolean> => {
    const heard = await Promise.all(["m1", "m2", "m1", "m2", "m1", "m2"].map((m) => takenBy(idOf(m))));
    return heard.join() === "m1,m2,m1,m2,m1,m2";
  };
  await eventually(agree, { what: "the managers know each other" });

  // A round counts when the link was up again in good time: a manager waits 600 ms for an owner.
  const round = async (): Promise<boolean> => {
    const id = idOf("m2");
    assert.equal((await submit(id)).string(), "1");
    let again: Promise<Msg> | undefined;
    let fromMs = 0;
    await breakLink(proxy, owner, async () => {
      fromMs = performance.now();
      again = submit(id);
      await caller.flush();
    });
    const tookMs = performance.now() - fromMs;
    const { headers: said } = await within(again as Promise<Msg>);
    if (tookMs > 400) return await agree().then(() => false);
    assert.deepEqual([said?.get(HEADER.manager), runs.get(id)], ["m2", 1]);
    return true;
  };
  await eventually(round, { limitMs: 60_000, what: "a link that is back in good time" });
});

/** A process of worker w1: takes what comes, and says what it has when it is told to. */
async function startProcess(t: Owner, url: string, incarnation: bigint) {
  const bus = await connectBus(t, { url });
  const taken: { readonly id: string; readonly answer: (kind: "accepted" | "result") => void }[] = [];
  let seq = 0n;
  const beat = (): void => {
    seq += 1n;
    const runningJobs = taken.map(({ id }) => id);
    const about = { pool: "p", worker: "w1", incarnation, seq, state: WorkerState.READY, slots: 4 };
    const jobs = { busy: taken.length, runningJobs, runningNonces: runningJobs.map(() => "") };
    const heartbeat = create(HeartbeatSchema, { ...about, ...jobs, protocolVersion: 2 });
    bus.publish("pool.p.heartbeat.w1", toBinary(HeartbeatSchema, heartbeat));
  };
  const take = ({ headers: said, reply = "" }: Msg): void => {
    const { jobId = "", attempt = 1 } = decodeJobHeaders(said);
    const answer = (kind: "accepted" | "result"): void => {
      const headers = encodeReplyHeaders({ kind, jobId, attempt, worker: "w1", free: 3 });
      bus.publish(reply, Buffer.from(kind === "result" ? String(incarnation) : ""), { headers });
    };
    taken.push({ id: jobId, answer });
    answer("accepted");
  };
  const subscriptions = [
    bus.subscribe("pool.p.job", take, "workers"),
    bus.subscribe("pool.p.job.w1", take),
    bus.subscribe("pool.p.control.w1", ({ reply }) => bus.mayAnswer(reply) && bus.publish(reply)),
  ];
  await bus.flush();
  const die = async (): Promise<void> => {
    for (const each of subscriptions) each.unsubscribe();
    await bus.flush();
  };
  return { taken, beat, die, bus };
}

test("restarts - a worker that restarts keeps what its new process took before its first heartbeat came, and loses what the earlier one had", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const service = await startManager(t, "m1", broker.url);
  const caller = await connectBus(t, broker);
  const submit = async (): Promise<string> =>
    (await caller.nc.request("pool.p.submit", "1", { timeout: 20_000 })).string();
  const before = await startProcess(t, broker.url, 1n);
  before.beat();
  await eventually(() => service.pools?.get("p").workers.get("w1"));
  const lost = submit();
  await eventually(() => before.taken.length === 1);
  await before.bus.flush();
  const after = await startProcess(t, broker.url, 2n);
  await before.die();
  const kept = submit();
  await eventually(() => after.taken.length === 1);
  await after.bus.flush();
  after.beat();
  assert.match(await within(lost), /^worker_lost: /);
  after.taken[0]?.answer("result");
  assert.equal(await within(kept), "2");
});

test("restarts - a submission that waits for its client's clock is dropped when its manager's connection breaks", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const proxy = await startProxy(t, broker.url);
  const ran = new Set<string>();
  const run = ({ id }: { readonly id: string }): number => ran.add(id).size;
  const worker = new Worker({ pool: "p", run, graceMs: 100, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const service = await startManager(t, "m1", proxy.url);
  const caller = await connectBus(t, broker);
  // A round counts when the connection broke while the submission was held: for half a second.
  let rounds = 0;
  const round = async (): Promise<boolean> => {
    rounds += 1;
    const id = `j${rounds}`;
    const inbox = `_INBOX.caller${rounds}.1.`;
    const heard: Msg[] = [];
    caller.subscribe(`${inbox}*`, (msg) => heard.push(msg));
    const say = (subject: string, clockMs: number): void => {
      const all = headers();
      all.append(HEADER.jobId, id);
      all.append(HEADER.clock, String(clockMs));
      all.append(HEADER.answers, "clock");
      all.append(HEADER.offer, "1");
      caller.publish(subject, Buffer.from("1"), { headers: all, reply: `${inbox}a` });
    };
    const kinds = (): string[] => heard.map((msg) => msg.headers?.get(HEADER.reply) ?? "");
    const fromMs = performance.now();
    say("pool.p.submit", 1_000);
    await eventually(() => kinds()[0] === "clock");
    let tookMs = 0;
    await breakLink(proxy, service, async () => {
      tookMs = performance.now() - fromMs;
    });
    if (tookMs > 400) return false;
    say("pool.p.submit.m1", 2_000);
    const errors = (): string[] => heard.map((msg) => msg.headers?.get(HEADER.error) ?? "").filter(Boolean);
    await eventually(() => errors().includes("not_found"));
    const said = heard.find((msg) => msg.headers?.get(HEADER.error) === "not_found");
    // It was never taken, so it did not run.
    assert.equal(said?.headers?.get(HEADER.maybeExecuted), "");
    assert.deepEqual([kinds().includes("result"), ran.has(id)], [false, false]);
    return true;
  };
  await eventually(round, { limitMs: 30_000, what: "a connection that broke in good time" });
});
