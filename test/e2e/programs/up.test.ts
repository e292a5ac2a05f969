/** `poolmesh up`: what it promises, with real processes. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Bus } from "../../../mesh/link/bus.js";
import { leakGuard } from "../../support/leak-guard.js";
import { STATE_FOLDER, startCli, type TestProcess } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { allGone, isAlive, scratchFolder, startUp, type UpMesh } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

leakGuard();

const ADDER = ["--pool", "adder", "--handler", programFile("../../support/handlers/plus-one", import.meta.url)];
const SLOW = ["--pool", "slow", "--handler", programFile("../../../examples/handlers/slow", import.meta.url)];
const GATED = ["--pool", "gated", "--handler", programFile("../../support/handlers/gated", import.meta.url)];
const NO_BROKER_ENV = { NATS_URL: undefined };

interface Row {
  readonly worker: string;
  readonly pid: number;
  readonly state: string;
  readonly incarnation: string;
  readonly busy?: number;
}

/** The workers of a pool, which has some: one that does not answer within the command's time answers the next time. */
async function workersOf(mesh: UpMesh, pool: string, count = 1): Promise<Row[]> {
  return eventually(async () => {
    const { stdout } = await mesh.run(["workers", pool, "--json"]);
    const rows = JSON.parse(stdout) as Row[];
    return rows.length >= count ? rows : undefined;
  });
}

/** A mesh whose handler has begun a job, which ends when it is let go. */
async function startBusy(
  t: TestContext,
  args: readonly string[] = [],
): Promise<{ mesh: UpMesh; job: TestProcess; letGo: () => void }> {
  const folder = await scratchFolder(t);
  const mesh = await startUp(t, [...GATED, ...args], { env: { GATES: folder } });
  const job = mesh.start(["submit", "gated", '{"id":"a","gate":"open"}', "--timeout-ms", "60000"], { input: "" });
  // A manager counts a job from its offer on; only the handler says that it runs.
  const begun = await eventually(() => existsSync(join(folder, "runs")) || (job.ended ? "ended" : undefined), {
    limitMs: 60_000,
    what: "the job runs",
  });
  assert.equal(begun, true, job.stderr);
  return { mesh, job, letGo: () => writeFileSync(join(folder, "open"), "") };
}

describe("up - ready", () => {
  test("the ready line has addresses that serve, and a job runs at once", async (t) => {
    const handler = ["--pool", "adder", "--handler", "test/support/handlers/plus-one.ts"];
    const mesh = await startUp(t, [...handler, "--workers", "2", "--slots", "3"]);
    const { ready } = mesh;
    assert.equal(ready.pool, "adder");
    assert.equal(ready.workers?.length, 2);
    assert.equal(ready.slots, 6);
    assert.ok(mesh.pids.every(isAlive));
    for (const url of [`${ready.manager}/readyz`, `${ready.meter}/readyz`, ready.page]) {
      assert.equal((await fetch(url)).status, 200, url);
    }
    const { stdout, code } = await mesh.run(["submit", "adder", "41"]);
    assert.deepEqual([stdout, code], ["42", 0]);
    const rows = await workersOf(mesh, "adder", 2);
    assert.deepEqual(rows.map(({ worker }) => worker).sort(), [...(ready.workers ?? [])].sort());
  });

  test("up three times at once: each starts and runs a job, one on the default ports, the others on any", async (t) => {
    const meshes = await Promise.all([1, 2, 3].map(() => startUp(t, ADDER)));
    const urls = meshes.flatMap(({ ready }) => [ready.nats, ready.manager, ready.meter]);
    assert.equal(new Set(urls).size, 9);
    for (const mesh of meshes) {
      assert.equal((await fetch(`${mesh.ready.manager}/readyz`)).status, 200);
      assert.equal((await mesh.run(["submit", "adder", "41"])).stdout, "42");
      assert.equal((await mesh.process.stop()).code, 0);
    }
  });

  test("--managers starts several, each on a port of its own, and jobs go on when one of them is killed", async (t) => {
    const mesh = await startUp(t, [...ADDER, "--managers", "3"]);
    const { manager, moreManagers = [] } = mesh.ready.pids;
    assert.equal(new Set([manager, ...moreManagers]).size, 3);
    assert.ok(mesh.pids.every(isAlive));
    process.kill(moreManagers[0] as number, "SIGKILL");
    for (let i = 0; i < 5; i += 1) assert.equal((await mesh.run(["submit", "adder", "41"])).stdout, "42");
    assert.equal((await mesh.process.stop()).code, 0);
    await allGone(mesh.pids);
  });

  test("without --json it is one line that begins with ready, and nothing else is on stdout", async (t) => {
    const up = startCli(t, ["up"], { env: NO_BROKER_ENV });
    await up.line(/^ready nats=nats:\/\/\S+ manager=http:\/\/\S+ meter=http:\/\/\S+$/, 60_000);
    await up.errorLine(/start one: .*poolmesh worker --pool/);
    const { code, stdout } = await up.stop();
    assert.equal(code, 0);
    assert.equal(stdout.trimEnd().split("\n").length, 1);
  });

  test("a broker that runs already is used and left running", async (t) => {
    const first = await startUp(t, []);
    const second = await startUp(t, ADDER, { env: first.env });
    assert.equal(second.ready.nats, first.ready.nats);
    assert.equal(second.ready.pids.nats, undefined);
    await second.process.stop();
    assert.ok(isAlive(first.ready.pids.nats ?? 0));
    assert.equal((await fetch(`${first.ready.manager}/readyz`)).status, 200);
  });

  test("its broker takes only programs of its user, who find the credential, and nobody sees it", async (t) => {
    const mesh = await startUp(t, ADDER);
    const { nats } = mesh.ready;
    const port = new URL(nats).port;
    const secret = new URL(mesh.natsUrl).password;
    assert.match(secret, /^pm_[\w-]{43}$/);
    const found = await startCli(t, ["submit", "adder", "41"], { input: "", env: { NATS_URL: nats } }).exit(60_000);
    assert.deepEqual([found.stdout, found.code], ["42", 0], found.stderr);
    const elsewhere = { NATS_URL: nats, XDG_STATE_HOME: await scratchFolder(t) };
    const stranger = await startCli(t, ["submit", "adder", "41"], { input: "", env: elsewhere }).exit(60_000);
    assert.deepEqual([stranger.stdout, stranger.code], ["", 77], stranger.stderr);
    const told = await startCli(t, ["token", "broker"], { input: "", env: { NATS_URL: nats } }).exit(60_000);
    assert.equal(told.stdout, `${mesh.natsUrl}\n`);
    const bus = await Bus.connect({ servers: mesh.natsUrl, waitOnFirstConnect: false });
    await bus.close();
    const file = join(STATE_FOLDER, "poolmesh", `broker-${port}`);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    for (const pid of mesh.pids) {
      const argv = existsSync("/proc/self/cmdline") ? readFileSync(`/proc/${pid}/cmdline`, "utf8") : "";
      assert.ok(!argv.includes(secret), argv);
    }
    await mesh.process.stop();
    assert.ok(!(mesh.process.stdout + mesh.process.stderr).includes(secret));
    assert.ok(!existsSync(file));
  });

  test("an address that was asked for and is taken ends it and is named", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    t.after(() => taken.close());
    await eventually(() => taken.listening);
    const { port } = taken.address() as { port: number };
    const up = startCli(t, ["up", "--manager-listen", `127.0.0.1:${port}`], { env: NO_BROKER_ENV });
    const { code, stderr } = await up.exit(60_000);
    assert.equal(code, 78);
    assert.match(stderr, /manager: .*in use/);
  });

  test("a handler file that is missing ends it with 78 and is named", async (t) => {
    const up = startCli(t, ["up", "--pool", "p", "--handler", "no/such.ts"], { env: NO_BROKER_ENV });
    const { code, stderr, stdout } = await up.exit(60_000);
    assert.equal(code, 78);
    assert.match(stderr, /no\/such\.ts/);
    assert.equal(stdout, "");
  });

  test("a pool without a handler is refused before anything starts", async (t) => {
    const { code, stderr } = await startCli(t, ["up", "--pool", "p"], { env: NO_BROKER_ENV }).exit();
    assert.equal(code, 2);
    assert.match(stderr, /handler: say --handler FILE or --exec CMD/);
  });
});

describe("up - stopping", () => {
  test("Ctrl-C drains: a running job gets its result, and nothing is left", async (t) => {
    const { mesh, job, letGo } = await startBusy(t);
    mesh.process.signal("SIGINT");
    await mesh.process.errorLine(/stopping: .*once more/);
    letGo();
    assert.deepEqual(await job.exit(), { code: 0, signal: null, stdout: '"a"', stderr: "" });
    assert.equal((await mesh.process.exit()).code, 0);
    await allGone(mesh.pids);
  });

  test("a second Ctrl-C kills, and nothing is left", async (t) => {
    const { mesh } = await startBusy(t, ["--grace-ms", "60000"]);
    mesh.process.signal("SIGINT");
    await mesh.process.errorLine(/stopping: .*once more/);
    mesh.process.signal("SIGINT");
    assert.equal((await mesh.process.exit()).code, 130);
    await allGone(mesh.pids);
  });

  test("kill -9 of up leaves no orphan", async (t) => {
    const mesh = await startUp(t, [...ADDER, "--workers", "2"]);
    await mesh.process.kill();
    await allGone(mesh.pids);
  });
});

describe("up - supervision", () => {
  test("a worker that is killed comes back under its name, and it says what died and why", async (t) => {
    const mesh = await startUp(t, ADDER);
    const [before] = await workersOf(mesh, "adder");
    assert.ok(before);
    process.kill(before.pid, "SIGKILL");
    await mesh.process.errorLine(/worker \S+ died \(SIGKILL\); starting it again in 250 ms/);
    const after = await eventually(
      async () => (await workersOf(mesh, "adder")).find((row) => row.pid !== before.pid && row.state.endsWith("READY")),
      { limitMs: 30_000, what: "a new worker is READY" },
    );
    assert.equal(after.worker, before.worker);
    assert.ok(BigInt(after.incarnation) > BigInt(before.incarnation));
    assert.equal((await mesh.run(["submit", "adder", "1"])).stdout, "2");
  });

  test("a handler that ends its process is no drain: the worker comes back", async (t) => {
    const folder = await scratchFolder(t, { "exits.mjs": "export function run() { process.exit(0); }\n" });
    const mesh = await startUp(t, ["--pool", "exits", "--handler", join(folder, "exits.mjs")]);
    const { code, stderr } = await mesh.run(["submit", "exits", "1"]);
    assert.equal(code, 1);
    assert.match(stderr, /worker_lost: .*it may have run/);
    await mesh.process.errorLine(
      /worker \S+ died \(exit code 1: process\.exit\(\) was called while the worker ran: its jobs are lost\)/,
    );
  });

  test("manager, meter and broker come back at their addresses", async (t) => {
    const mesh = await startUp(t, ADDER);
    const { manager, meter, pids } = mesh.ready;
    assert.ok(pids.nats);
    for (const pid of [pids.manager, pids.meter, pids.nats]) process.kill(pid, "SIGKILL");
    for (const name of ["manager", "meter", "broker"])
      await mesh.process.errorLine(new RegExp(`${name} died \\(.*SIGKILL`));
    for (const url of [manager, meter]) {
      await eventually(async () => (await fetch(`${url}/readyz`)).status === 200, { limitMs: 30_000, what: url });
    }
    const { stdout } = await eventually(
      async () => {
        const exit = await mesh.run(["submit", "adder", "6"]);
        return exit.code === 0 ? exit : undefined;
      },
      { limitMs: 60_000, what: "a job runs again" },
    );
    assert.equal(stdout, "7");
  });

  test("a worker that is drained has left and is not started again", async (t) => {
    const mesh = await startUp(t, [...ADDER, "--workers", "2"]);
    const { code, stdout } = await mesh.run(["drain", "--pool", "adder", "--count", "1"]);
    assert.equal(code, 0);
    assert.match(stdout, /^adder\/\S+ {2}DRAINING {2}0 of 1 slots busy\n$/);
    await mesh.process.errorLine(/worker \S+ was drained and has left/);
    assert.equal((await workersOf(mesh, "adder")).length, 1);
  });

  test("restart replaces every worker one by one, and no job fails meanwhile", async (t) => {
    const mesh = await startUp(t, [...SLOW, "--workers", "2", "--slots", "4"]);
    const before = await workersOf(mesh, "slow");
    const jobs = mesh.start(["map", "slow", "--window", "8"], { input: "40\n".repeat(300) });
    await jobs.line(/"index":20,/);
    const { code, stdout } = await mesh.run(["restart", "--pool", "slow"]);
    assert.equal(code, 0);
    assert.equal(stdout.match(/restarted in \d+ ms/g)?.length, 2);
    const { code: mapCode, stdout: results } = await jobs.exit(60_000);
    assert.equal(mapCode, 0);
    assert.equal(results.trimEnd().split("\n").length, 300);
    const after = await workersOf(mesh, "slow");
    assert.deepEqual(
      after.map(({ worker }) => worker),
      before.map(({ worker }) => worker),
    );
    assert.ok(after.every(({ pid }) => !before.some((row) => row.pid === pid)));
  });
});
