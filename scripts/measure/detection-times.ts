/**
 * How fast bad news travels: prints p50 and p99 of the times that are promised.
 *
 * `node --import tsx scripts/measure/detection-times.ts [--rounds 12] [--write docs/faults.md]`.
 * All of it at default settings, against real processes.
 */
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ManagerService } from "../../gen/poolmesh/v1/manager_pb.js";
import { writeBlock } from "../../test/faults/doc-block.js";
import { machineNow } from "../../test/faults/history.js";
import { cleanUpNow, ownOwner } from "../../test/faults/rig/owner.js";
import { POOL } from "../../test/faults/rig/pool.js";
import { Rig } from "../../test/faults/rig/rig.js";
import type { Service } from "../../test/faults/rig/service.js";
import type { TcpProxy } from "../../test/support/proxy/tcp-proxy.js";
import { eventually } from "../../test/support/wait.js";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "12" }, write: { type: "string" } } });
const rounds = Number(values.rounds);
const lines: string[] = [];

function line(text: string): void {
  lines.push(text);
  console.log(text);
}

/** Workers that are hurt together, each with its own job. */
const TOGETHER = 4;

interface Victim {
  readonly id: string;
  readonly service: Service;
  readonly proxy: TcpProxy;
}

/** Runs one measurement in a world of its own. */
async function inRig<T>(measure: (rig: Rig) => Promise<T>): Promise<T> {
  const owner = ownOwner();
  try {
    return await measure(await Rig.start(owner, { brokers: 1, quick: true }));
  } finally {
    await cleanUpNow(owner);
  }
}

/** Times from hurting a worker that runs a job to the caller's outcome. */
async function untilOutcome(rig: Rig, hurt: (victim: Victim) => unknown): Promise<number[]> {
  await rig.manager("m1");
  const caller = await rig.client();
  const times: number[] = [];
  for (let round = 0; times.length < rounds; round += 1) {
    const victims = await Promise.all(
      Array.from({ length: TOGETHER }, async (_, i): Promise<Victim> => {
        const id = `w${round}-${i}`;
        const proxy = await rig.proxy();
        return { id, proxy, service: await rig.worker(id, { via: proxy.url }) };
      }),
    );
    const begun = rig.history.of("accepted").length;
    const held = victims.map(async () => {
      await caller.submit({ do: "wait", ms: 120_000 }, { timeoutMs: 120_000 });
      return machineNow();
    });
    await eventually(() => rig.history.of("accepted").length >= begun + TOGETHER, { what: "all jobs at work" });
    const hurtAt = machineNow();
    for (const victim of victims) hurt(victim);
    for (const heardAt of await Promise.all(held)) times.push(heardAt - hurtAt);
    await Promise.all(victims.map(({ service }) => service.process.kill()));
  }
  return times;
}

/** Times from a worker's going deaf to its being shown as unhealthy, while jobs wait. */
async function untilUnhealthy(rig: Rig): Promise<number[]> {
  const times: number[] = [];
  const manager = await rig.manager("m1");
  const client = createClient(ManagerService, createConnectTransport({ baseUrl: manager.url, httpVersion: "1.1" }));
  const caller = await rig.client();
  await rig.worker("busy");
  for (let round = 0; times.length < Math.min(rounds, 6); round += 1) {
    const proxy = await rig.proxy();
    const deaf = await rig.worker(`deaf${round}`, { via: proxy.url });
    let over = false;
    const load = caller.load({ jobs: 100_000, window: 6, order: { do: "wait", ms: 100 }, until: () => over });
    await eventually(() => rig.history.of("start").some(({ worker }) => worker === deaf.name), { limitMs: 30_000 });
    proxy.set("to-client", { mode: "pause" });
    const since = machineNow();
    await eventually(
      async () => {
        const { workers } = await client.listWorkers({ pool: POOL });
        return workers.find(({ heartbeat }) => heartbeat?.worker === deaf.name)?.unhealthy;
      },
      { limitMs: 30_000, pollMs: 20, what: "the deaf worker to be shown" },
    );
    times.push(machineNow() - since);
    over = true;
    await deaf.process.kill();
    await load;
  }
  return times;
}

/** Times from a caller's cancel to the handler's signal. */
async function untilSignal(rig: Rig): Promise<number[]> {
  await Promise.all([rig.manager("m1"), rig.worker("w1")]);
  const caller = await rig.client();
  const times: number[] = [];
  while (times.length < rounds * 3) {
    const abort = new AbortController();
    const before = rig.history.of("signal").length;
    const begun = rig.history.of("accepted").length;
    const held = caller.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 60_000, signal: abort.signal });
    await eventually(() => rig.history.of("accepted").length > begun, { pollMs: 5 });
    const canceledAt = machineNow();
    abort.abort();
    const signal = await eventually(() => rig.history.of("signal")[before], { pollMs: 5, what: "the signal" });
    times.push(signal.at - canceledAt);
    await held;
  }
  return times;
}

function print(what: string, promiseMs: number, times: readonly number[]): boolean {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  const kept = at(0.99) <= promiseMs;
  const cells = [what, String(times.length), `${at(0.5)}`, `${at(0.99)}`, `${promiseMs}`, kept ? "kept" : "NOT KEPT"];
  line(`| ${cells.join(" | ")} |`);
  return kept;
}

async function main(): Promise<number> {
  line("| from → to | times | p50 ms | p99 ms | promised ms | |");
  line("| --- | --- | --- | --- | --- | --- |");
  const kept = [
    print(
      "kill -9 of a worker → the caller's outcome",
      1_000,
      await inRig((rig) => untilOutcome(rig, ({ service }) => service.kill())),
    ),
    print(
      "SIGSTOP of a worker → the caller's outcome",
      4_000,
      await inRig((rig) => untilOutcome(rig, ({ service }) => service.pause())),
    ),
    print(
      "a cut-off host → the caller's outcome",
      4_000,
      await inRig((rig) => untilOutcome(rig, ({ proxy }) => proxy.set("both", { mode: "drop" }))),
    ),
    print("a worker that beats but takes nothing → shown as unhealthy", 5_000, await inRig(untilUnhealthy)),
    print("cancel → the handler's signal", 200, await inRig(untilSignal)),
  ];
  if (values.write !== undefined) await writeBlock(values.write, "times", lines.join("\n"));
  return kept.every(Boolean) ? 0 : 1;
}

process.exitCode = await main();
