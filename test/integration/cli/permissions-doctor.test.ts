/** `poolmesh doctor --as` compares an account with the table of rights: enough, and not more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import type { Finding } from "../../../cli/doctor/finding.js";
import { type Rights, ROLES } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { Client } from "../../../client/client.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { PermanentError } from "../../../mesh/errors.js";
import type { BusOptions } from "../../../mesh/link/bus.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { serversOfTests, startRightsBroker } from "../../support/doors/rights-broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();

const HOLDERS = ROLES.map((role) => rightsOf({ role, pools: ["adder"], name: "own" }));
const [CLIENT, WORKER] = HOLDERS as [Rights, Rights];

async function doctor(
  bus: BusOptions,
  { holder: { role, name, pools: [pool = "adder"] = [] } }: Rights,
  more: readonly string[] = [],
): Promise<[number, Finding[]]> {
  const { servers, user, password, credsFile, inboxPrefix } = bus;
  const env = { NATS_URL: servers, POOLMESH_USER: user, POOLMESH_PASSWORD: password, NATS_CREDS: credsFile };
  const all = Object.entries({ ...env, POOLMESH_INBOX_PREFIX: inboxPrefix }).filter(([, value]) => value !== undefined);
  const argv = ["doctor", "--json", "--as", role, "--pool", pool, "--name", name, ...more];
  const { code, stdout, stderr } = await runInShell(argv, Object.fromEntries(all) as Record<string, string>);
  assert.equal(stderr, "");
  return [code, JSON.parse(stdout) as Finding[]];
}

test("doctor - an account that has the rights of the table is well: all that it needs, and nothing more", async (t) => {
  const mesh = await startRightsBroker(t, "JWT", HOLDERS);
  for (const rights of HOLDERS) {
    const [code, findings] = await doctor(mesh.busOptions(rights), rights);
    const about = findings.filter(({ what }) => what === `as ${rights.holder.role} own`);
    const found = about.filter(({ state }) => state === "ok").map((each) => each.found);
    assert.deepEqual(found, ["all that it needs is allowed", "nothing more is allowed"], rights.holder.role);
    assert.equal(code, 0);
  }
});

test("doctor - an account for something else, and one whose replies come elsewhere, are bad and say what to do", async (t) => {
  const mesh = await startRightsBroker(t, "users", HOLDERS);
  const [code, findings] = await doctor(mesh.busOptions(CLIENT), WORKER);
  assert.equal(code, 1);
  const bad = findings.find(({ state }) => state === "bad");
  assert.match(bad?.found ?? "", /^refused: publish pool\.adder\.heartbeat\.own, publish _INBOX\.manager\.\*, /);
  assert.equal(bad?.advice, "poolmesh permissions --role worker --pool adder --name own prints what it needs");
  const [, others] = await doctor({ ...mesh.busOptions(CLIENT), inboxPrefix: "_WRONG" }, CLIENT);
  const inbox = others.find(({ what }) => what === "inbox prefix");
  assert.deepEqual([inbox?.state, inbox?.advice], ["bad", "start it with --inbox-prefix _INBOX.client.own"]);
});

test("doctor - a worker's account that hears what managers are asked is told so, on the oldest nats-server, too", async (t) => {
  const wide = { ...WORKER, subscribe: [...WORKER.subscribe, { subject: "$SRV.*", why: "" }] };
  for (const { version, binary } of await serversOfTests()) {
    const mesh = await startRightsBroker(t, "users", [wide], binary);
    const [, findings] = await doctor(mesh.busOptions(wide), WORKER);
    const more = findings.find(({ found }) => found.startsWith("more is allowed: "))?.found ?? "";
    assert.match(more, version.startsWith("2.9.") ? /subscribe \$SRV\.>, / : /subscribe \$SRV\.\*$/, version);
  }
});

test("doctor - a credential that is for another name, or another pool, is told to be so", async (t) => {
  const mesh = await startRightsBroker(t, "users", HOLDERS);
  for (const [other, hint] of [
    [rightsOf({ role: "worker", pools: ["adder"], name: "w2" }), "Only what bears the name w2 is refused"],
    [rightsOf({ role: "worker", pools: ["other"], name: "own" }), "Only what is of pool other is refused"],
  ] as const) {
    const [code, findings] = await doctor(mesh.busOptions(WORKER), other);
    const bad = findings.find(({ state }) => state === "bad");
    assert.deepEqual([code, bad?.found.includes(`. ${hint}: the credential is for another `)], [1, true], bad?.found);
  }
});

test("doctor - an account that may do everything is told so, and nobody acts on what is tried", async (t) => {
  const mesh = await startMesh(t);
  let runs = 0;
  const run = (): void => {
    runs += 1;
  };
  const worker = await mesh.addWorker({ pool: "adder", id: "own", run }, t);
  const examine = async (rights: Rights): Promise<void> => {
    const { inboxPrefix = "_INBOX" } = rights;
    const [code, findings] = await doctor({ servers: mesh.natsUrl, inboxPrefix }, rights);
    assert.equal(code, 0, JSON.stringify(findings));
    assert.ok(findings.some(({ state, found }) => state === "note" && /^more is allowed: subscribe >, /.test(found)));
  };
  await Promise.all(HOLDERS.map(examine));
  assert.deepEqual([worker.workerState, worker.busy, runs], [WorkerState.READY, 0, 0]);
});

test("doctor - with --durable it tries what the lane needs, stores nothing, purges nothing, and says what it did not try", async (t) => {
  const mesh = await startMesh(t, { manager: { durable: true, pools: ["adder"] } });
  const run = ({ payload }: { payload: unknown }): unknown => {
    if (payload === 13) throw new PermanentError("unlucky");
    return payload;
  };
  await mesh.addWorker({ pool: "adder", id: "own", run }, t);
  const client = await Client.connect({ pool: "adder", servers: mesh.natsUrl });
  cleanUp(t, () => client.close());
  for (const payload of ["7", "13"]) {
    await client.enqueue(payload).then((receipt) => receipt.result({ timeoutMs: 20_000 }).catch(() => undefined));
  }
  const nc = await connect({ servers: mesh.natsUrl });
  cleanUp(t, () => nc.close());
  const jsm = await jetstreamManager(nc);
  const stored = async (): Promise<string[]> => {
    const streams: string[] = [];
    for await (const { config, state } of jsm.streams.list())
      streams.push(`${config.name} ${state.messages} ${state.last_seq}`);
    return streams.sort();
  };
  await eventually(async () => /pool-dead 1 .*pool-jobs-adder 0 .*pool-outcomes 2 /.test((await stored()).join(", ")));
  const before = await stored();
  for (const role of ["client", "manager", "operator"] as const) {
    const rights = rightsOf({ role, pools: ["adder"], name: "own", durable: true });
    const { inboxPrefix = "_INBOX" } = rights;
    const [code, findings] = await doctor({ servers: mesh.natsUrl, inboxPrefix }, rights, ["--durable"]);
    assert.equal(code, 0, JSON.stringify(findings));
    assert.ok(
      findings.some(({ state, found }) => state === "note" && /^not tried, since somebody would act/.test(found)),
    );
  }
  assert.deepEqual(await stored(), before);
});
