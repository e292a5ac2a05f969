import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, toBinary } from "@bufbuild/protobuf";
import { type WatchCapacityResponse, WatchWorkersRequestSchema } from "../../../gen/poolmesh/v1/meter_pb.js";
import { type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { meterClient, Stream, startBeating, startMeter } from "../../support/meter/meter-rig.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);

test("ten slow readers and one that never reads neither delay the others nor grow memory", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["slow"], coalesceMs: 10 });
  const { workers } = await startBeating(t, broker, {
    pool: "slow",
    workers: 200,
    slots: 60_000,
    coalesceMs: 10,
    intervalMs: 1_000,
  });
  const fast = new Stream<WatchCapacityResponse>(t, (options) => meterClient(meter).watchCapacity({}, options));
  await within(fast.until(({ total }) => total?.workers?.ready === 200));
  const deaf = Array.from({ length: 11 }, () => neverReads(t, meter.url));
  await within(Promise.all(deaf.map((reader) => reader.opened)));
  const storm = (rounds: number) => change(workers, fast, rounds);
  await storm(20);
  collect();
  const before = process.memoryUsage().heapUsed;
  await storm(60);
  collect();
  const grownMb = (process.memoryUsage().heapUsed - before) / 2 ** 20;
  assert.ok(grownMb < 24, `the heap grew by ${grownMb.toFixed(1)} MB`);
  for (const reader of deaf.slice(1)) reader.read();
  await eventually(() => deaf.slice(1).every(({ bytes }) => bytes > 0), { what: "slow readers get what is new" });
  await storm(1);
});

interface SlowReader {
  readonly opened: Promise<void>;
  readonly bytes: number;
  read(): void;
}

/** Opens WatchWorkers over gRPC and leaves what comes unread. */
function neverReads(t: Owner, url: string): SlowReader {
  const session = connectHttp2(url);
  session.on("error", () => {});
  cleanUp(t, () => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": "/poolmesh.v1.MeterService/WatchWorkers",
    "content-type": "application/grpc+proto",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.pause();
  const body = toBinary(WatchWorkersRequestSchema, create(WatchWorkersRequestSchema));
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]));
  let bytes = 0;
  return {
    opened: new Promise((resolve) => stream.once("response", () => resolve())),
    get bytes() {
      return bytes;
    },
    read: () => {
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      stream.resume();
    },
  };
}

/** Every worker starts a job, again and again; the fast reader sees each round. */
async function change(
  workers: readonly { readonly beat: { readonly busy: number }; startJob(): void }[],
  fast: Stream<WatchCapacityResponse>,
  rounds: number,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const worker of workers) worker.startJob();
    const busy = workers.reduce((sum, worker) => sum + worker.beat.busy, 0);
    await within(fast.until(({ total }) => total?.busy === busy));
  }
}

/** Collects garbage, so that what is left is held by somebody. */
function collect(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
