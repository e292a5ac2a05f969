/** `poolmesh durable --apply`: what differs is set as Poolmesh makes it, and nothing else is touched. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import type { Rights, Role } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import { ACK_WAIT_MS } from "../../../mesh/durable/streams.js";
import { Bus } from "../../../mesh/link/bus.js";
import { ManagerService } from "../../../services/manager/service.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell, type ShellExit } from "../../support/docs/fake-shell.js";
import { startRightsBroker } from "../../support/doors/rights-broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { durable: true } });
for (const pool of ["adder", "other"]) {
  await mesh.addWorker({ pool, run: (job) => job.payload });
  await eventually(() => mesh.manager.pools?.durable?.of(mesh.manager.pools.get(pool)) !== undefined);
}
cleanUp(WHOLE_FILE, () => mesh.broker.stop());
const bus = await connectBus(WHOLE_FILE, mesh.broker);
const admin = await jetstreamManager(bus.nc as NatsConnection);
const names = new DurableNames();
const JOBS = names.jobsStream("adder");

function durable(...argv: readonly string[]): Promise<ShellExit> {
  return runInShell(["durable", ...argv], { NATS_URL: mesh.natsUrl });
}

test("durable --apply - sets what differs of streams and consumers, says what it was, and leaves the rest", async () => {
  await admin.streams.update(JOBS, { max_msgs: 5_000, description: "ours" });
  await admin.streams.update(names.jobsStream("other"), { max_msgs: 6_000 });
  await admin.consumers.update(JOBS, "high", { ack_wait: 7_000_000_000 });
  assert.match((await durable("adder")).stdout, /max_msgs: 1000000 expected, 5000 found/);

  const applied = await durable("adder", "--apply");
  const lines = [
    `${JOBS}: max_msgs is 1000000, was 5000`,
    `${JOBS}.high: ack_wait is ${ACK_WAIT_MS}000000, was 7000000000`,
  ];
  assert.deepEqual([applied.code, applied.stdout, applied.stderr], [0, `${lines.join("\n")}\n`, ""]);
  const { config } = await admin.streams.info(JOBS);
  assert.deepEqual([config.max_msgs, config.description], [1_000_000, "ours"]);
  assert.equal((await admin.consumers.info(JOBS, "high")).config.ack_wait, ACK_WAIT_MS * 1e6);
  assert.doesNotMatch((await durable("adder")).stdout, /expected/);
  assert.match((await durable()).stdout, /max_msgs: 1000000 expected, 6000 found/, "the pool that was not named");

  const rest = await durable("--apply", "--json");
  const { applied: others } = JSON.parse(rest.stdout) as { applied: unknown };
  const differences = [{ key: "max_msgs", wanted: 1_000_000, found: 6_000 }];
  assert.deepEqual([rest.code, others], [0, [{ name: names.jobsStream("other"), differences }]]);
  assert.equal((await durable("--apply")).stdout, "nothing differs from how Poolmesh sets it\n");
});

test("durable --apply - what the broker does not change is left and told, and the command ends with 1", async () => {
  const stream = names.deadStream;
  const { config } = await admin.streams.info(stream);
  await admin.streams.delete(stream);
  await admin.streams.add({ ...config, storage: "memory" });
  const { code, stdout, stderr } = await durable("--apply");
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, new RegExp(`^poolmesh: ${stream} is left as it is: .*storage`));
  assert.equal((await admin.streams.info(stream)).config.storage, "memory");
});

test("durable --apply - a pool without a lane is told, and a manager cannot do it", async () => {
  const nowhere = await durable("nowhere", "--apply");
  assert.deepEqual([nowhere.code, /unknown_pool/.test(nowhere.stderr)], [69, true], nowhere.stderr);
  const remote = await durable("--apply", "--url", mesh.manager.url);
  assert.deepEqual([remote.code, /--apply.*--url/.test(remote.stderr)], [2, true], remote.stderr);
});

test("durable --apply - who may not change streams is told so, and nothing is changed", async (t) => {
  const setOf = (role: Role): Rights => rightsOf({ role, name: `the-${role}`, pools: ["strict"], durable: true });
  const [manager, operator] = [setOf("manager"), setOf("operator")];
  const everything = [{ subject: ">", why: "all" }];
  const owner: Rights = { ...setOf("client"), publish: everything, subscribe: everything };
  const { broker, busOptions } = await startRightsBroker(t, "users", [manager, operator, owner]);
  const listen = { host: "127.0.0.1", port: 0 };
  const service = new ManagerService({
    id: "the-manager",
    bus: busOptions(manager),
    listen,
    graceMs: 0,
    durable: true,
    pools: ["strict"],
  });
  cleanUp(t, () => service.stop());
  await service.start();
  cleanUp(t, () => broker.stop());
  const { nc } = await Bus.connect(busOptions(owner)).then((each) => {
    cleanUp(t, () => each.close());
    return each;
  });
  const streams = (await jetstreamManager(nc as NatsConnection)).streams;
  const stream = names.jobsStream("strict");
  await streams.update(stream, { max_msgs: 5_000 });
  const { user = "", password = "", inboxPrefix = "" } = busOptions(operator);
  const refused = await runInShell(["durable", "strict", "--apply", "--user", user, "--inbox-prefix", inboxPrefix], {
    NATS_URL: broker.url,
    POOLMESH_PASSWORD: password,
  });
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.match(refused.stderr, new RegExp(`^poolmesh: ${stream} is left as it is: .*permission`, "im"));
  assert.equal((await streams.info(stream)).config.max_msgs, 5_000);
});
