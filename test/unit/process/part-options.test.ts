/** The common shape of options of Client, Manager, DurableLane and Worker, and the older shapes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { Client } from "../../../client/client.js";
import { definePool } from "../../../mesh/job/pool-definition.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { toPartOptions } from "../../../mesh/link/part-options.js";
import { Manager } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";

const bus = {} as Bus;
const run = (): number => 1;

/** The codes of the deprecations that `work` warns of. */
async function warned(work: () => void): Promise<(string | undefined)[]> {
  const codes: (string | undefined)[] = [];
  const hear = (warning: Error & { code?: string }): void => {
    if (warning.name === "DeprecationWarning") codes.push(warning.code);
  };
  process.on("warning", hear);
  work();
  // warnings are told at the next tick
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", hear);
  return codes;
}

test("options - Client, Manager and Worker take one shape, with a name or a definition, and warn of nothing", async () => {
  const pool = definePool({ name: "typed", input: z.number(), output: z.number() });
  const codes = await warned(() => {
    for (const make of [
      () => new Client({ pool, servers: "nats://a:1" }),
      () => new Manager({ pool, connection: bus }),
      () => new Worker({ pool, connection: bus, run }),
    ]) {
      assert.equal(make().pool, "typed");
    }
    assert.equal(new Worker({ pool: "named", servers: "nats://a:1", run }).pool, "named");
  });
  assert.deepEqual(codes, []);
});

test("options - the older shapes work, and each is warned of once a process", async () => {
  const codes = await warned(() => {
    for (let i = 0; i < 3; i += 1) {
      assert.equal(new Client("old", { servers: "nats://a:1" }).pool, "old");
      assert.equal(new Manager("old", { bus }).pool, "old");
      assert.equal(new Worker({ pool: "old", bus: { servers: "nats://a:1" }, run }).pool, "old");
    }
  });
  assert.deepEqual(codes.sort(), ["POOLMESH_DEP0001", "POOLMESH_DEP0002", "POOLMESH_DEP0003"]);
});

test("options - the older shape becomes the common one, and what was handed in is not changed", () => {
  const rest = { bus, prefix: "p" };
  assert.deepEqual(toPartOptions("call", "old", rest), { pool: "old", connection: bus, prefix: "p" });
  assert.deepEqual(rest, { bus, prefix: "p" });
});

test("options - no pool, and a connection beside what would make another one, are refused by name", () => {
  for (const options of [undefined, null, {}, { servers: "nats://a:1" }]) {
    assert.throws(() => new Client(options as never), { reason: "invalid_argument", field: "pool" });
  }
  const both = { pool: "p", connection: bus, servers: "nats://a:1" };
  for (const make of [
    () => new Client(both),
    () => new Manager(both),
    () => new Worker({ ...both, run }),
    () => new Worker({ pool: "p", connection: bus, bus: { token: "t" }, run }),
  ]) {
    assert.throws(make, { reason: "invalid_argument", field: "connection" });
  }
});
