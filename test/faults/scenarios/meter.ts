/** Meters that die, stop, and have bad company. */
import assert from "node:assert/strict";
import { connect as dial, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { watchCapacity } from "../../../browser.js";
import { HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import { POOL } from "../rig/pool.js";
import { descriptors, memoryMib } from "../rig/resources.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";

const killMeter: Scenario = {
  id: "F69",
  fault: "kill -9 a meter, restart",
  brokers: [1],
  run: async (rig) => {
    const [meter] = await Promise.all([rig.meter("meter"), rig.worker("w1", { slots: 2 }), rig.manager("m1")]);
    const caller = await rig.client();
    const abort = new AbortController();
    cleanUp(rig.owner, () => abort.abort());
    const states: string[] = [];
    let seen = { slots: -1, state: "" };
    const watching = (async () => {
      const options = { baseUrl: meter.url, pool: POOL, signal: abort.signal, backoff: { baseMs: 50, maxMs: 500 } };
      for await (const { total, connection } of watchCapacity(options)) {
        seen = { slots: total?.slots ?? -1, state: connection.state };
        if (states.at(-1) !== connection.state) states.push(connection.state);
      }
    })();
    await eventually(() => seen.slots === 2 && seen.state === "live", { what: "the stream to be live" });
    let over = false;
    const order = { do: "wait", ms: 20 } as const;
    const load = caller.load({ jobs: 100_000, window: 2, order, timeoutMs: 10_000, until: () => over });
    const listen = new URL(meter.url).host;
    await meter.kill();
    await eventually(() => seen.state !== "live", { what: "the stream to notice" });
    const again = await rig.meter("meter", { env: { LISTEN: listen } });
    await eventually(() => seen.slots === 2 && seen.state === "live", {
      limitMs: 20_000,
      what: "the stream to be back",
    });
    over = true;
    const heard = await load;
    assertEnded(heard, { ok: heard.length });
    const view = rig.view(again);
    const fresh = view.watch(rig.owner);
    await eventually(() => fresh.messages > 0);
    await view.shows({ slots: 2, busy: 0 });
    await view.mustEndOn(fresh, { slots: 2, busy: 0 });
    abort.abort();
    await watching;
    return `${heard.length} jobs did not notice; the stream came back after ${states.filter((state) => state === "connecting").length - 1} tries`;
  },
};

const deafReader: Scenario = {
  id: "F71",
  fault: "one subscriber never reads, many others do",
  brokers: [1],
  run: async (rig) => {
    const [meter] = await Promise.all([rig.meter("meter"), rig.worker("w1", { slots: 4 }), rig.manager("m1")]);
    const view = rig.view(meter);
    await view.shows({ slots: 4, busy: 0 });
    const streams = Array.from({ length: rig.scale(20, 100) }, () => view.watch(rig.owner));
    await eventually(() => streams.every(({ messages }) => messages > 0), { what: "all to have their snapshot" });
    const deaf = openStream(rig, meter.url);
    await eventually(() => deaf.bytesWritten > 0);
    const held = { memoryMib: await memoryMib(meter.pid) };
    rig.history.add({ kind: "resources", process: "meter", phase: "baseline", held });
    const caller = await rig.client();
    const load = caller.load({
      jobs: rig.scale(150, 1_500),
      window: 4,
      order: { do: "wait", ms: 10 },
      timeoutMs: 20_000,
    });
    await eventually(() => streams.every(({ busy }) => busy > 0), {
      limitMs: 20_000,
      pollMs: 1,
      what: "all to see it busy",
    });
    const heard = await load;
    const since = machineNow();
    await eventually(() => streams.every(({ busy, slots }) => busy === 0 && slots === 4), {
      what: "all to see the end",
    });
    const freshMs = machineNow() - since;
    const after = { memoryMib: await memoryMib(meter.pid) };
    rig.history.add({ kind: "resources", process: "meter", phase: "rest", held: after });
    await Promise.all(streams.map((stream) => view.mustEndOn(stream, { slots: 4, busy: 0 })));
    return `${heard.length} jobs; ${streams.length} readers saw the end within ${Math.round(freshMs)} ms; memory bounded`;
  },
};

const comeAndGo: Scenario = {
  id: "F73",
  fault: "10,000 subscribe and cancel",
  brokers: [1],
  run: async (rig) => {
    const [meter] = await Promise.all([rig.meter("meter"), rig.worker("w1")]);
    const view = rig.view(meter);
    await view.shows({ slots: 1, busy: 0 });
    const held = async () => ({
      memoryMib: await memoryMib(meter.pid),
      descriptors: await descriptors(meter.pid),
      streams: await gauge(meter.url, "poolmesh_meter_streams"),
    });
    const rounds = rig.scale(30, 500);
    const round = async (): Promise<void> => {
      const streams = Array.from({ length: 20 }, () => view.watch(rig.owner));
      await eventually(() => streams.every(({ messages }) => messages > 0));
      for (const stream of streams) stream.cancel();
      await eventually(() => streams.every(({ end }) => end !== undefined));
    };
    // the heap of a young process grows to its working size first: a leak goes on after that
    for (let i = 0; i < rounds / 5; i += 1) await round();
    const settled = () => eventually(async () => (await gauge(meter.url, "poolmesh_meter_streams")) === 0);
    await settled();
    rig.history.add({ kind: "resources", process: "meter", phase: "baseline", held: await held() });
    for (let i = 0; i < rounds; i += 1) await round();
    await settled();
    rig.history.add({ kind: "resources", process: "meter", phase: "rest", held: await held() });
    return `${rounds * 20} streams opened and canceled; back to the baseline`;
  },
};

const oldBeats: Scenario = {
  id: "F76",
  fault: "heartbeats twice, out of order, from an old incarnation",
  brokers: [1],
  run: async (rig) => {
    const meter = await rig.meter("meter");
    const caller = await rig.embedded();
    const bus = await connectBus(rig.owner, rig.broker);
    const subject = new Subjects().heartbeat(POOL, "ghost");
    const beat = (incarnation: number, seq: number, busy: number): void => {
      const message = create(HeartbeatSchema, {
        pool: POOL,
        worker: "ghost",
        incarnation: BigInt(incarnation),
        seq: BigInt(seq),
        state: WorkerState.READY,
        slots: 4,
        busy,
        heartbeatIntervalMs: 10_000,
      });
      bus.publish(subject, toBinary(HeartbeatSchema, message));
    };
    beat(2_000, 10, 2);
    const view = rig.view(meter);
    await view.shows({ slots: 4, busy: 2 });
    const old = () => oldBeatsCounted(meter.url);
    const before = await old();
    for (const [incarnation, seq] of [
      [2_000, 10],
      [2_000, 9],
      [1_000, 99],
      [2_000, 1],
    ] as const)
      beat(incarnation, seq, 4);
    await bus.flush();
    await eventually(async () => (await old()) >= before + 4, { what: "four to be counted as ignored" });
    await view.shows({ slots: 4, busy: 2 });
    assert.deepEqual(caller.submitter.capacity, { slots: 4, busy: 2, parked: 0, workers: 1 });
    beat(2_000, 11, 3);
    await view.shows({ slots: 4, busy: 3 });
    await caller.submitter.close();
    return "four ignored and counted; the next true one counts";
  },
};

/** A stream by hand whose answer is never read. */
function openStream(rig: Rig, url: string): Socket {
  const { hostname, port, host } = new URL(url);
  const socket = dial(Number(port), hostname);
  cleanUp(rig.owner, () => socket.destroy());
  socket.pause();
  const envelope = Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]);
  socket.write(
    `POST /poolmesh.v1.MeterService/WatchCapacity HTTP/1.1\r\nHost: ${host}\r\nConnect-Protocol-Version: 1\r\n` +
      `Content-Type: application/connect+json\r\nContent-Length: ${envelope.length}\r\n\r\n`,
  );
  socket.write(envelope);
  return socket;
}

async function gauge(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
}

async function oldBeatsCounted(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const series = text.matchAll(/^poolmesh_meter_heartbeats_total\{[^}]*fate="old_\w+"[^}]*\} (\S+)/gm);
  return [...series].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** All of them. */
export const meters: readonly Scenario[] = [killMeter, deafReader, comeAndGo, oldBeats];
