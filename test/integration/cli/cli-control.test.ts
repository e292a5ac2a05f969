/** The commands that ask something of workers: whom they mean, and what they say when nobody is meant. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ControlRequestSchema } from "../../../gen/poolmesh/v1/control_pb.js";
import { connectBus } from "../../support/broker.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell, type ShellExit } from "../../support/docs/fake-shell.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
for (const id of ["digest-1", "digest-2"]) await mesh.addWorker({ pool: "digest", id, slots: 2, run: () => 1 });
await mesh.untilCapacity("digest", 4);

function poolmesh(...argv: string[]): Promise<ShellExit> {
  return runInShell(argv, { NATS_URL: mesh.natsUrl });
}

describe("resize", () => {
  test("the number is the last word, for one worker and for a pool, or stands behind --slots", async () => {
    assert.equal((await poolmesh("resize", "digest-1", "16")).stdout, "digest/digest-1  READY  0 of 16 slots busy\n");
    await mesh.untilCapacity("digest", 18);
    assert.equal((await poolmesh("resize", "--pool", "digest", "3")).code, 0);
    await mesh.untilCapacity("digest", 6);
    assert.equal((await poolmesh("resize", "digest-2", "--slots", "5")).code, 0);
    await mesh.untilCapacity("digest", 8);
  });
});

test("a worker in another language that answers with nothing is shown as its heartbeat tells", async (t) => {
  const bus = await connectBus(t, mesh.broker);
  let [state, seq] = ["WORKER_STATE_READY", 0];
  const beat = (): void => {
    seq += 1;
    const heartbeat = { pool: "foreign", worker: "f-1", incarnation: "1", seq: String(seq), state, slots: 3 };
    bus.publish("pool.foreign.heartbeat.f-1", Buffer.from(JSON.stringify(heartbeat)));
  };
  bus.subscribe("pool.foreign.control", beat);
  bus.subscribe("pool.foreign.control.f-1", (msg) => {
    if (fromBinary(ControlRequestSchema, msg.data).op.case === "pause") state = "WORKER_STATE_PAUSED";
    msg.respond();
    beat();
  });
  await bus.flush();
  beat();
  const { code, stdout, stderr } = await poolmesh("pause", "--pool", "foreign");
  assert.deepEqual([code, stdout, stderr], [0, "foreign/f-1  PAUSED  0 of 3 slots busy\n", ""]);
});

describe("nobody is meant", () => {
  for (const argv of [
    ["workers", "digets"],
    ["workers", "--pool", "digets"],
    ["pause", "--pool", "digets"],
    ["drain", "digest-1", "--pool", "digets"],
    ["restart", "--pool", "digets"],
  ]) {
    test(`${argv.join(" ")}: one text says it once, names the right pool and exits with 69`, async () => {
      const { code, stdout, stderr } = await poolmesh(...argv);
      assert.deepEqual([code, stdout], [69, ""]);
      const text = "no worker of pool digets answers; did you mean digest? (pools with workers: digest)";
      assert.equal(stderr, `poolmesh: unknown_pool: ${text}\n`);
    });
  }

  test("workers --json is an array in any case", async () => {
    const { code, stdout } = await poolmesh("workers", "digets", "--json");
    assert.deepEqual([code, JSON.parse(stdout)], [69, []]);
  });

  test("a mistyped worker is not found, and the nearest one is named", async () => {
    const { code, stderr } = await poolmesh("pause", "digset-2");
    assert.equal(code, 1);
    assert.equal(stderr, "poolmesh: not_found: no worker digset-2 answers; did you mean digest-2?\n");
  });

  test("a command that has nothing to change says so and is no failure", async () => {
    const { code, stdout, stderr } = await poolmesh("resume", "--pool", "digest");
    assert.deepEqual([code, stdout, stderr], [0, "", "nothing to resume: 2 workers, READY\n"]);
  });
});
