/** `waitMs` and `totalMs` of a result, whichever way its job was submitted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { Client } from "../../../client/client.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import type { JobResult } from "../../../mesh/job/job.js";
import { Manager } from "../../../services/manager/manager.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { rpcTransports } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
const SERVERS = { servers: mesh.natsUrl };
const RUN_MS = 30;

interface Times {
  readonly waitMs: number;
  readonly totalMs: number;
}

const timesOf = ({ waitMs, totalMs }: JobResult): Times => ({ waitMs, totalMs });

async function printed(...argv: string[]): Promise<Times> {
  const { stdout, stderr, code } = await runInShell(argv, { NATS_URL: mesh.natsUrl }, { input: "1\n" });
  assert.equal(code, 0, stderr);
  const { waitMs, ms, totalMs = ms } = JSON.parse(stdout) as { waitMs: number; totalMs: number; ms: number };
  return { waitMs, totalMs };
}

async function ofStream(): Promise<Times> {
  const client = createClient(ManagerService, rpcTransports(mesh.manager.url).gRPC!);
  async function* jobs() {
    yield { ref: 1n, job: { pool: "one", input: { case: "text", value: "1" } as const } };
  }
  for await (const { outcome } of client.submitMany(jobs())) return outcome.value as Times;
  throw new Error("no outcome");
}

test("waitMs ends when the attempt is sent, not when its result comes, through every door", async (t) => {
  const held = gate();
  let begun = 0;
  const began = gate();
  await mesh.addWorker({
    pool: "one",
    // The worker says nothing before its result: nobody can take the start from `accepted`.
    acceptAfterMs: 60_000,
    run: async () => {
      begun += 1;
      began.open();
      if (begun === 1) await held.promise;
      else for (const start = performance.now(); performance.now() - start < RUN_MS; );
      return begun;
    },
  });
  await mesh.untilCapacity("one", 1);
  const client = await Client.connect({ pool: "one", ...SERVERS });
  cleanUp(t, () => client.close());
  const manager = await Manager.connect({ pool: "one", ...SERVERS });
  cleanUp(t, () => manager.close());
  const meter = createClient(MeterService, rpcTransports(mesh.meter.url).gRPC!);
  const blocker = client.submit("0");
  await began.promise;
  const { url } = mesh.manager;
  const doors: Record<string, Promise<Times>> = {
    Client: client.submit("1").then(timesOf),
    "Manager, embedded": manager.submit("1").then(timesOf),
    Submit: mesh.client.submit({ pool: "one", input: { case: "text", value: "1" } }),
    SubmitMany: ofStream(),
    submit: printed("submit", "one", "1", "--json"),
    "submit --direct": printed("submit", "one", "1", "--json", "--direct"),
    "submit --url": printed("submit", "one", "1", "--json", "--url", url),
    map: printed("map", "one"),
    "map --url": printed("map", "one", "--url", url),
  };
  const count = Object.keys(doors).length;
  const parked = async (): Promise<boolean> => (await meter.getCapacity({ pool: "one" })).pools[0]?.parked === count;
  await eventually(parked, { what: `${count} parked jobs` });
  const seenParkedAtMs = performance.now();
  await eventually(() => performance.now() - seenParkedAtMs > 1);
  const parkedMs = performance.now() - seenParkedAtMs;
  held.open();
  const { waitMs: ofBlocker, totalMs: whole } = await blocker;
  assert.ok(whole - ofBlocker >= parkedMs, `blocker: waited ${ofBlocker} of ${whole} ms`);
  for (const [door, times] of Object.entries(doors)) {
    const { waitMs, totalMs } = await times;
    assert.ok(waitMs >= parkedMs && totalMs - waitMs >= RUN_MS - 0.02, `${door}: waited ${waitMs} of ${totalMs} ms`);
  }
});
