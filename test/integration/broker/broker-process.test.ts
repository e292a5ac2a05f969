import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Broker, type BrokerOptions } from "../../../broker/broker.js";
import { connectBus, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { lifecycleContract } from "../../support/core/lifecycle-contract.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startNode } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { eventually, settled, within } from "../../support/wait.js";

leakGuard();
const binary = process.env.NATS_SERVER ? { binary: process.env.NATS_SERVER } : {};

lifecycleContract(
  "broker",
  () => new Broker({ port: "any", ...binary }),
  async (t) => new Broker({ port: await takenPort(t), ...binary }),
);

test("broker - starts on a free port of loopback, with JetStream, and carries messages", async (t) => {
  const broker = await startBroker(t);
  const bus = await connectBus(t, broker);
  let heard = "";
  bus.subscribe("greeting", (msg) => {
    heard = msg.string();
  });
  bus.publish("greeting", new TextEncoder().encode("hello"));
  await eventually(() => heard === "hello", { what: "the message" });
  assert.match(broker.url, /^nats:\/\/127\.0\.0\.1:\d+$/);
  assert.equal((bus.nc.info as unknown as { jetstream?: boolean }).jetstream, true);
});

test("broker - takes another port when the default one is taken", async (t) => {
  const first = await startUnlessTaken(t);
  const second = await startBroker(t, { port: "prefer-default" });
  assert.notEqual(second.port, 4222);
  assert.notEqual(second.port, first?.port);
});

test("broker - a port that is asked for and taken is a clear error", async (t) => {
  const port = await takenPort(t);
  await assert.rejects(startBroker(t, { port }), new RegExp(`nats-server ended: .*${port}.*address already in use`));
});

test("broker - a crash and a revival keep port and store, and the connection comes back", async (t) => {
  const broker = await startBroker(t);
  const { url, pid } = broker;
  const bus = await connectBus(t, broker);
  await broker.crash();
  assert.equal(await settled(broker.closed), "pending");
  await eventually(() => !bus.connected);
  await broker.revive();
  assert.equal(broker.url, url);
  assert.notEqual(broker.pid, pid);
  await eventually(() => bus.connected, { what: "the reconnect" });
});

test("broker - closed settles with an error when nats-server ends by itself", async (t) => {
  const broker = await startBroker(t);
  process.kill(broker.pid, "SIGKILL");
  const error = await within(broker.closed, { what: "closed" });
  assert.match(error?.message ?? "", /nats-server ended by itself: SIGKILL/);
  await broker.stop();
  assert.equal(broker.state, "stopped");
});

test("broker - stop() ends a nats-server that is suspended, and removes its folder", async (t) => {
  const before = await brokerFolders();
  const broker = await startBroker(t);
  const own = (await brokerFolders()).filter((name) => !before.includes(name));
  broker.signal("SIGSTOP");
  await broker.stop();
  assert.throws(() => process.kill(broker.pid, 0), { code: "ESRCH" });
  assert.ok(own.length > 0);
  const left = await brokerFolders();
  assert.ok(own.some((name) => !left.includes(name)));
});

test("broker - a secret is in a private file and not on the command line", async (t) => {
  const password = 'quo"te\\d secret';
  const before = await brokerFolders();
  const broker = await startBroker(t, { auth: { user: "u", password } });
  const commandLine = await readFile(`/proc/${broker.pid}/cmdline`, "utf8").catch(() => "");
  assert.ok(!commandLine.includes("secret"));
  for (const name of (await brokerFolders()).filter((each) => !before.includes(each))) {
    const mode = await stat(join(tmpdir(), name)).then(
      (found) => found.mode,
      () => 0o700,
    );
    assert.equal(mode & 0o77, 0);
  }
  await connectBus(t, broker, { user: "u", password });
  await assert.rejects(connectBus(t, broker, { user: "u", password: "wrong" }), { reason: "unauthenticated" });
});

test("broker - a store folder that is given is kept", async (t) => {
  const storeFolder = await mkdtemp(join(tmpdir(), "poolmesh-test-store-"));
  cleanUp(t, () => rm(storeFolder, { recursive: true }));
  await writeFile(join(storeFolder, "kept"), "");
  const broker = await startBroker(t, { storeFolder });
  await broker.stop();
  assert.ok((await readdir(storeFolder)).includes("kept"));
});

test("broker - max payload and extra configuration reach nats-server", async (t) => {
  const broker = await startBroker(t, { maxPayloadBytes: 65_536, extraConfig: "max_subscriptions: 7" });
  const bus = await connectBus(t, broker);
  assert.equal(bus.maxPayloadBytes, 65_536);
  await assert.rejects(startBroker(t, { extraConfig: "no_such_key: 1" }), /nats-server ended: .*no_such_key/);
});

test("broker - nats-server dies with its owner, even by SIGKILL", async (t) => {
  const owner = startNode(
    t,
    programFile("../../support/programs/broker-owner", import.meta.url),
    process.env.NATS_SERVER ? [process.env.NATS_SERVER] : [],
  );
  const pid = Number((await owner.line(/^broker (\d+) /, 60_000))[1]);
  process.kill(pid, 0);
  await owner.kill();
  await eventually(() => isGone(pid), { what: "the end of nats-server" });
});

async function startUnlessTaken(t: TestContext): Promise<Broker | undefined> {
  const options: BrokerOptions = { port: 4222 };
  return startBroker(t, options).catch(() => undefined);
}

async function takenPort(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUp(t, () => new Promise((resolve) => server.close(resolve)));
  return (server.address() as { port: number }).port;
}

async function brokerFolders(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("poolmesh-broker-"));
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
