/** Outages of the bus: what the broker does to us, and that we see it, move on, or end with a clear line. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { Bus } from "../../../mesh/link/bus.js";
import type { Logger } from "../../../mesh/process/log.js";
import { connectBus, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startNode } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const SERVICE = programFile("../../faults/rig/service-process", import.meta.url);
const HANDLER = programFile("../../faults/rig/handler", import.meta.url);

test("outages - who loses its authorization ends with exit code 1 and a line that says why", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-users-"));
  cleanUp(t, () => rm(folder, { recursive: true, force: true }));
  const users = join(folder, "users.conf");
  // Seen from the broker's own folder, which is beside it.
  const include = `include "../${basename(folder)}/users.conf"`;
  const setPassword = (password: string) =>
    writeFile(users, `authorization { user: "mesh", password: "${password}" }\n`, { mode: 0o600 });
  await setPassword("right-one");
  const broker = await startBroker(t, { jetStream: false, extraConfig: include });
  const env = {
    POOLMESH_SERVERS: broker.url,
    POOLMESH_USER: "mesh",
    POOLMESH_PASSWORD: "right-one",
    POOLMESH_LISTEN: "127.0.0.1:0",
  };
  const worker = { POOLMESH_POOL: "p", POOLMESH_HANDLER: HANDLER, POOLMESH_LISTEN: undefined };
  const services = [
    startNode(t, SERVICE, ["worker"], { env: { ...env, ...worker } }),
    startNode(t, SERVICE, ["manager"], { env }),
    startNode(t, SERVICE, ["meter"], { env }),
  ];
  await Promise.all(services.map((each) => each.line(/"msg":"(worker )?ready"/, 60_000)));
  await setPassword("another-one");
  broker.signal("SIGHUP");
  for (const service of services) {
    const { code, stdout } = await service.exit();
    assert.equal(code, 1, stdout);
    assert.match(stdout, /"error":"[^"]*(uthorization|uthentication|credentials)[^"]*"/);
    assert.doesNotMatch(stdout, /right-one/);
  }
});

test("outages - a slow consumer that the broker cuts off is seen, and comes back", async (t) => {
  const broker = await startBroker(t, {
    jetStream: false,
    maxPayloadBytes: 131_072,
    extraConfig: 'max_pending: 262144\nwrite_deadline: "1s"',
  });
  const lines: string[] = [];
  const log = { warn: (...line: unknown[]) => lines.push(JSON.stringify(line)), info: () => {}, error: () => {} };
  const slow = await Bus.connect({ servers: broker.url, log: log as unknown as Logger });
  cleanUp(t, () => slow.close());
  slow.subscribe("flood", () => {});
  await slow.flush();
  const socket = (slow.nc as unknown as { protocol: { transport: { socket: { pause(): void } } } }).protocol.transport;
  socket.socket.pause();
  const sender = await connectBus(t, broker);
  const payload = new Uint8Array(64 * 1024);
  let back = 0;
  slow.on("reconnect", () => {
    back += 1;
  });
  await eventually(
    async () => {
      for (let i = 0; i < 20; i += 1) sender.publish("flood", payload);
      await sender.flush();
      return lines.length > 0 || back > 0;
    },
    { what: "the broker to cut the slow one off" },
  );
  await eventually(() => back > 0 && slow.connected, { what: "the slow one to be back" });
  assert.ok(
    lines.some((line) => /disconnected/.test(line)),
    lines.join("; "),
  );
});
