/**
 * How far one meter goes: 10,000 workers that beat every second, 2,000 idle
 * streams, 10,000 streams that come and go. Prints its CPU share and memory.
 *
 *   node --import tsx scripts/measure/meter-scale.ts [WORKERS] [SECONDS] [STREAMS] [CYCLES]
 */
import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { type CallOptions, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Broker } from "../../broker/broker.js";
import { MeterService } from "../../gen/poolmesh/v1/meter_pb.js";
import { Bus } from "../../mesh/link/bus.js";
import { HeartbeatGenerator } from "../../test/support/meter/heartbeat-generator.js";
import { forkMeter, type MeterProcess, type Usage } from "./meter-child.js";

const [workers = 10_000, seconds = 10, streams = 2_000, cycles = 10_000] = process.argv.slice(2).map(Number);
const STREAMS_PER_CONNECTION = 100;
/** A server cuts a connection that resets many streams in a short time. */
const CYCLES_PER_CONNECTION = 500;
const MB = 2 ** 20;

const broker = new Broker({ port: "any" });
await broker.start();
const meter = await forkMeter(broker.url);
const bus = await Bus.connect({ servers: broker.url });
try {
  await measureStreams(meter);
  await measureHeartbeats(meter, bus);
} finally {
  await bus.close();
  await meter.stop();
  await broker.stop();
}

async function measureHeartbeats(target: MeterProcess, from: Bus): Promise<void> {
  const generator = new HeartbeatGenerator(from, { workers, intervalMs: 1_000 });
  generator.start();
  await delay(3_000);
  const [sent, taken, before] = [generator.sent, await heartbeats(target), await target.usage()];
  const started = performance.now();
  await delay(seconds * 1_000);
  const elapsedMs = performance.now() - started;
  const after = await target.usage();
  const perSecond = ((await heartbeats(target)) - taken) / (elapsedMs / 1_000);
  console.log(`heartbeats of ${workers} workers, ${seconds} s`);
  console.log(`  sent       ${((generator.sent - sent) / (elapsedMs / 1_000)).toFixed(0)}/s`);
  console.log(`  taken      ${perSecond.toFixed(0)}/s`);
  console.log(`  CPU share  ${(((after.cpuMs - before.cpuMs) / elapsedMs) * 100).toFixed(1)} % of a core`);
  console.log(`  memory     ${mb(after.rssBytes)} resident, ${mb(after.heapBytes)} heap`);
  console.log(`  workers    ${JSON.stringify((await capacity(target)).total?.workers)}`);
  generator.stop();
}

async function measureStreams(target: MeterProcess): Promise<void> {
  await cycle(target, 200);
  const before = await target.usage();
  const transports = Array.from({ length: Math.ceil(streams / STREAMS_PER_CONNECTION) }, () => client(target));
  const abort = new AbortController();
  setMaxListeners(streams + 1, abort.signal);
  for (const each of transports) {
    await Promise.all(Array.from({ length: STREAMS_PER_CONNECTION }, () => open(each, abort.signal)));
  }
  const opened = await target.usage();
  console.log(`idle streams: ${streams} on ${transports.length} connections`);
  console.log(`  resident   ${kbEach(before.rssBytes, opened.rssBytes)} kB each`);
  console.log(`  heap       ${kbEach(held(before), held(opened))} kB each, with external memory`);
  abort.abort();
  await settle(target);
  const began = await target.usage();
  const started = performance.now();
  await cycle(target, cycles);
  await settle(target);
  const ended = await target.usage();
  console.log(`subscribe and leave: ${cycles} times in ${((performance.now() - started) / 1_000).toFixed(1)} s`);
  console.log(`  heap       ${mb(held(began))} before, ${mb(held(ended))} after`);
}

type Client = ReturnType<typeof client>;

function client(target: MeterProcess) {
  return createClient(MeterService, createGrpcTransport({ baseUrl: target.url }));
}

async function open(from: Client, signal: AbortSignal): Promise<void> {
  const options: CallOptions = { signal };
  const iterator = from.watchCapacity({}, options)[Symbol.asyncIterator]();
  await iterator.next();
  iterator.next().catch(() => undefined);
}

/** Opens streams and leaves them after their first message, 50 at a time. */
async function cycle(target: MeterProcess, count: number): Promise<void> {
  let one = client(target);
  for (let done = 0; done < count; done += 50) {
    if (done % CYCLES_PER_CONNECTION === 0) one = client(target);
    await Promise.all(
      Array.from({ length: Math.min(50, count - done) }, async () => {
        const abort = new AbortController();
        await open(one, abort.signal);
        abort.abort();
      }),
    );
  }
}

/** Until the meter has noticed that its readers left. */
async function settle(target: MeterProcess): Promise<void> {
  while ((await metric(target, "poolmesh_meter_readers")) > 0) await delay(50);
}

async function heartbeats(target: MeterProcess): Promise<number> {
  const text = await metrics(target);
  const lines = text.matchAll(/^poolmesh_meter_heartbeats_total\{sender="worker",fate="\w+"\} (\d+)$/gm);
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function metric(target: MeterProcess, name: string): Promise<number> {
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(await metrics(target))?.[1]);
}

async function metrics(target: MeterProcess): Promise<string> {
  return (await fetch(`${target.url}/metrics`)).text();
}

function capacity(target: MeterProcess) {
  return client(target).getCapacity({});
}

function held(usage: Usage): number {
  return usage.heapBytes + usage.externalBytes;
}

function kbEach(before: number, after: number): string {
  return ((after - before) / 1_024 / streams).toFixed(1);
}

function mb(bytes: number): string {
  return `${(bytes / MB).toFixed(0)} MB`;
}
