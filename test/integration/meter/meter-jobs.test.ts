/** What a meter tells of ended jobs and of the durable lane: a real manager, workers and a broker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, type Client as RpcClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { DurableService } from "../../../gen/poolmesh/v1/durable_pb.js";
import { MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import { fromConnectError } from "../../../mesh/wire/connect-errors.js";
import { Meter, type MeterOptions } from "../../../services/meter/meter.js";
import type { Owner } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { makePolicy } from "../../support/doors/policy.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { eventually } from "../../support/wait.js";

const mesh = await startDurableMesh();

interface Doors {
  readonly meter: RpcClient<typeof MeterService>;
  readonly lane: RpcClient<typeof DurableService>;
}

async function startMeter(t: Owner, options: Partial<MeterOptions> = {}): Promise<(token?: string) => Doors> {
  const listen = { host: "127.0.0.1", port: 0 };
  const meter = new Meter({ bus: { servers: mesh.servers }, listen, ...options });
  cleanUp(t, () => meter.stop());
  await meter.start();
  return (token) => {
    const transport = transportTo(meter.url, token);
    return { meter: createClient(MeterService, transport), lane: createClient(DurableService, transport) };
  };
}

function transportTo(baseUrl: string, token: string | undefined): Transport {
  const bear = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    interceptors: [
      (next) => (req) => {
        for (const [name, value] of Object.entries(bear)) req.header.set(name, value);
        return next(req);
      },
    ],
  });
}

/** The reason of a refusal. */
async function refusal(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "taken",
    (error) => fromConnectError(error).reason,
  );
}

/** A worker whose jobs take what their payload says in milliseconds; those of 13 fail. */
const startPool = (t: Owner, pool: string) =>
  mesh.startPool(
    t,
    pool,
    async ({ payload }) => {
      if (payload === 13) throw Object.assign(new Error("out of luck"), { code: "luck.none" });
      await new Promise((resolve) => setTimeout(resolve, Number(payload)));
      return payload;
    },
    { slots: 4, graceMs: 100 },
  );

test("a meter tells how a pool's jobs end: outcomes and times", async (t) => {
  const doors = await startMeter(t);
  const [client] = await startPool(t, "told");
  const { meter } = doors();
  await eventually(async () => (await meter.getCapacity({ pool: "told" })).total?.managers === 1);
  const jobs = [5, 5, 5, 13, 120].map((ms) => client.submit(ms).catch(() => undefined));
  await Promise.all(jobs);
  await eventually(async () => (await meter.getJobStats({ pool: "told" })).total?.jobs === 5n);
  const stats = await meter.getJobStats({ pool: "told" });
  assert.deepEqual(stats.outcomes, { ok: 4n, job_failed: 1n });
  assert.ok((stats.run?.p99Ms ?? 0) >= 90, "the job of 120 ms is among them");
  const { total } = await meter.getCapacity({ pool: "told" });
  assert.deepEqual([total?.endedLastMinute, total?.failedLastMinute], [5n, 1n], "the same figures as the pool's");
  assert.equal(await refusal(meter.getJobStats({ pool: "nobody" })), "unknown_pool");
  assert.equal(await refusal(meter.getJobStats({ pool: "" })), "invalid_argument");
});

test("a meter with --durable and --control shows the lane, and retries and purges for the control token only", async (t) => {
  const doors = await startMeter(t, { durable: true, control: true, controlToken: "open-sesame" });
  const [client, operator] = await startPool(t, "lane");
  const [anyone, holder] = [doors().lane, doors("open-sesame").lane];
  for (const id of ["a", "b"]) await client.enqueue(13, { id, maxAttempts: 1 });
  const lane = async () => (await anyone.getLanes({})).lanes.find(({ pool }) => pool === "lane");
  await eventually(async () => (await lane())?.dead === 2n);
  assert.deepEqual([(await lane())?.queued, (await lane())?.retrying], [0n, 0n]);
  const selector = { pool: "lane", jobIds: ["a"] };
  for (const call of [
    anyone.listDead({ pool: "lane" }),
    anyone.retryDead({ selector }),
    anyone.purgeDead({ selector }),
  ]) {
    assert.equal(await refusal(call), "unauthenticated");
  }
  const { letters } = await holder.listDead({ pool: "lane" });
  assert.deepEqual(
    // Both run at once, so either may end first.
    letters.map(({ jobId, error, attempt }) => [jobId, error?.reason, error?.code, attempt]).sort(),
    [
      ["a", "job_failed", "luck.none", 1],
      ["b", "job_failed", "luck.none", 1],
    ],
  );
  await holder.purgeDead({ selector });
  assert.equal((await lane())?.dead, 1n, "who purged a letter sees at once that it is gone");
  await holder.retryDead({ selector: { pool: "lane", jobIds: ["b"] } });
  await eventually(async () => {
    const [letter, ...more] = (await holder.listDead({ pool: "lane" })).letters;
    return letter?.jobId === "b" && letter.sequence > 2n && more.length === 0;
  });
  assert.equal((await operator.figures()).dead, 1);
});

test("a job that waits for its retry is told as such, and queued, held and retrying add up", async (t) => {
  const doors = await startMeter(t, { durable: true });
  const [client] = await startPool(t, "again");
  await client.enqueue(13, { maxAttempts: 5, backoff: { baseMs: 60_000, capMs: 60_000 } });
  const lane = async () => (await doors().lane.getLanes({ pool: "again" })).lanes[0];
  await eventually(async () => (await lane())?.retrying === 1n);
  assert.deepEqual([(await lane())?.queued, (await lane())?.delivered, (await lane())?.dead], [0n, 1n, 0n]);
});

test("a meter without --control changes no dead letter, and one without --durable knows no lane", async (t) => {
  const files = await makePolicy(t);
  const token = files.token("admin", "operator", ["*"]);
  files.write([]);
  const readOnly = (await startMeter(t, { durable: true, policyFile: files.file }))(token);
  const selector = { pool: "lane", jobIds: ["a"] };
  assert.equal(await refusal(readOnly.lane.retryDead({ selector })), "permission_denied");
  assert.equal(await refusal(readOnly.lane.purgeDead({ selector })), "permission_denied");
  const without = (await startMeter(t))();
  assert.notEqual(await refusal(without.lane.getLanes({})), "taken");
});
