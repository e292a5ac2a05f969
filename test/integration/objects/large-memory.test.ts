/** 100 MiB there and back: memory grows by the payload and a little, not by a multiple of it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { startMesh } from "../../support/mesh.js";
import { startCli } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";

const MIB = 2 ** 20;
const PAYLOAD_MIB = 100;
/** What a process has more than before, in payloads: a result at the client, a payload at the worker, and as much again for what is not yet collected. */
const MOST_GROWTH = 2;

const HANDLER = `export const codec = "bytes";
export const run = ({ payload }) => payload;`;

/** Memory of a process in MiB: now, or the most it ever had. */
function memoryMib(pid: number | "self", which: "VmRSS" | "VmHWM"): number {
  const line = readFileSync(`/proc/${pid}/status`, "utf8").match(new RegExp(`${which}:\\s+(\\d+) kB`));
  return Number(line?.[1]) / 1024;
}

test("large payloads - 100 MiB to a worker and back: neither process grows by two payloads", {
  skip: process.platform !== "linux" && "memory is read from /proc",
}, async (t) => {
  const mesh = await startMesh(t);
  const folder = await scratchFolder(t, { "echo.mjs": HANDLER });
  const args = ["worker", "--pool", "big", "--handler", join(folder, "echo.mjs"), "--large-payloads"];
  const worker = startCli(t, args, { env: { ...process.env, NATS_URL: mesh.natsUrl } });
  await mesh.untilCapacity("big", 1);
  const client = await Client.connect({ pool: "big", servers: mesh.natsUrl, largePayloads: true, timeoutMs: 300_000 });
  try {
    const small = new Uint8Array(2 * MIB).fill(1);
    assert.equal((await client.submit(small)).payload.length, small.length);
    const payload = Buffer.alloc(PAYLOAD_MIB * MIB, "0123456789abcdef-");
    const before = { client: memoryMib("self", "VmRSS"), worker: memoryMib(worker.pid, "VmRSS") };
    const result = await client.submit(payload);
    assert.ok(payload.equals(result.payload));
    const grown = {
      client: (memoryMib("self", "VmHWM") - before.client) / PAYLOAD_MIB,
      worker: (memoryMib(worker.pid, "VmHWM") - before.worker) / PAYLOAD_MIB,
    };
    t.diagnostic(`grew by ${grown.client.toFixed(2)} (client) and ${grown.worker.toFixed(2)} (worker) payloads`);
    t.diagnostic(`in ${(result.totalMs / 1_000).toFixed(1)} s`);
    assert.ok(grown.client <= MOST_GROWTH, `the client grew by ${grown.client} payloads`);
    assert.ok(grown.worker <= MOST_GROWTH, `the worker grew by ${grown.worker} payloads`);
  } finally {
    await client.close();
  }
});
