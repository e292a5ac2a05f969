/** `poolmesh enqueue` against a mesh with a durable lane. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { PermanentError } from "../../../mesh/errors.js";
import { connectBus, lacking } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell, type ShellExit, type ShellOptions } from "../../support/docs/fake-shell.js";
import { CONTROL_TOKEN } from "../../support/doors/control-token.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { durable: true } });
await mesh.addWorker({ pool: "adder", slots: 4, run: (job) => Number(job.payload) + 1 });
await mesh.addWorker({
  pool: "fussy",
  run: (job) => {
    if (job.payload === "coded") throw Object.assign(new PermanentError("coded"), { code: "not.this" });
    if (job.payload === "never") throw new PermanentError("not this one");
    throw new Error("try again");
  },
});
for (const pool of ["adder", "fussy"]) {
  await eventually(() => mesh.manager.pools?.durable?.of(mesh.manager.pools.get(pool)) !== undefined);
}

// The broker goes first: a manager that still has it waits until its open pulls are over.
cleanUp(WHOLE_FILE, () => mesh.broker.stop());

function poolmesh(argv: readonly string[], options: ShellOptions = {}): Promise<ShellExit> {
  return runInShell(argv, { NATS_URL: mesh.natsUrl }, options);
}

test("enqueue - prints the id of the stored job, or its receipt, or waits for its result", async () => {
  const plain = await poolmesh(["enqueue", "adder", "1"]);
  assert.equal(plain.code, 0, plain.stderr);
  assert.match(plain.stdout, /^\w+\n$/);
  const receipt = await poolmesh(["enqueue", "adder", "2", "--id", "two", "--json"]);
  assert.match(receipt.stdout, /^\{"id":"two","sequence":\d+,"duplicate":false\}\n$/);
  assert.equal((await poolmesh(["enqueue", "adder", "41", "--wait"])).stdout, "42");
  assert.equal((await poolmesh(["enqueue", "adder", "-", "--wait"], { input: "7" })).stdout, "8");
  const again = await poolmesh(["enqueue", "adder", "2", "--id", "two", "--wait", "--json"]);
  assert.match(again.stdout, /"result":3,/, "the kept outcome");
});

test("enqueue - a job that fails for good ends with its error, and a pool without a lane is told", async () => {
  const rejected = await poolmesh(["enqueue", "fussy", '"never"', "--wait"]);
  assert.equal(rejected.code, 1);
  assert.match(rejected.stderr, /job_rejected: not this one/);
  const nowhere = await poolmesh(["enqueue", "nowhere", "1"]);
  assert.deepEqual([nowhere.code, /--durable/.test(nowhere.stderr)], [69, true], nowhere.stderr);
  const wrong = await poolmesh(["enqueue", "adder", "1", "--backoff", "9-1"]);
  assert.deepEqual([wrong.code, wrong.stderr.includes("backoff")], [2, true], wrong.stderr);
});

test("jobs, job and durable - tell where stored jobs stand, from the streams and through a manager alike", async () => {
  let finish = (): void => {};
  const held = new Promise<void>((resolve) => (finish = resolve));
  await mesh.addWorker({ pool: "slow", id: "slow-1", run: () => held.then(() => "done") });
  await eventually(() => mesh.manager.pools?.durable?.of(mesh.manager.pools.get("slow")) !== undefined);
  const none = await poolmesh(["jobs", "slow"]);
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, "", "poolmesh: no stored jobs in pool slow\n"]);
  for (const id of ["one", "two", "three"])
    await poolmesh(["enqueue", "slow", "1", "--id", id, "--priority", "high", "--timeout-ms", "600000"]);
  type Line = { readonly id: string; readonly state: string };
  let seen: Line[] = [];
  // Which of them runs is not promised.
  const isBusy = async (): Promise<boolean> => {
    const { stdout } = await poolmesh(["jobs", "slow", "--json"]);
    seen = stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Line]));
    const states = seen.map(({ state }) => state);
    return states.sort().join() === "held,held,running";
  };
  await eventually(isBusy).catch((error: Error) => assert.fail(`${error.message}: ${JSON.stringify(seen)}`));
  const heldIds = seen.filter(({ state }) => state === "held").map(({ id }) => id);
  const running = seen.find(({ state }) => state === "running")?.id;
  const doors = [[], ["--url", mesh.manager.url]];
  for (const door of doors) {
    // The manager that has a job says so within 150 ms, or the job is shown as the stream has it.
    await eventually(async () => {
      const listed = await poolmesh(["jobs", "slow", ...door]);
      assert.match(listed.stdout, /^JOB +STATE +PRIORITY +AGE +ATTEMPT +WORKER\n/);
      assert.match(listed.stdout, new RegExp(`^${running} +running +high +\\S.* 1 of 5 +slow-1$`, "m"));
      assert.equal(listed.stdout.split("\n").length, 5);
      const some = await poolmesh(["jobs", "slow", "--state", "held", "--json", ...door]);
      assert.deepEqual(
        some.stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).id),
        heldIds,
      );
      return true;
    });
    const cut = await poolmesh(["jobs", "slow", "--limit", "1", ...door]);
    assert.deepEqual([cut.stdout.split("\n").length, /--limit/.test(cut.stderr)], [3, true]);
    const lanes = await poolmesh(["durable", ...door]);
    assert.match(
      lanes.stdout,
      /^POOL +SCHEDULED +QUEUED +DELIVERED +LIMITED +DEAD +OLDEST\n(.*\n)*slow +0 +0 +3 +0 +0 +\S/,
    );
    assert.match(lanes.stdout, /^pool-outcomes +\d+ of 1.00 M +\S+ \S+ of 4 GiB +1$/m);
    const one = JSON.parse((await poolmesh(["durable", "slow", "--json", ...door])).stdout);
    assert.deepEqual(
      [one.lanes.length, one.streams.map(({ name }: { name: string }) => name)],
      [1, ["pool-jobs-slow"]],
    );
  }
  finish();
  await eventually(async () => (await poolmesh(["jobs", "slow"])).stdout === "");
  await poolmesh(["enqueue", "fussy", '"never"', "--id", "no", "--wait"]);
  for (const door of doors) {
    const ended = JSON.parse((await poolmesh(["job", "slow", "one", "--json", ...door])).stdout);
    assert.deepEqual([ended.state, ended.result, ended.worker, ended.attempt], ["ended", "done", "slow-1", 1]);
    const dead = await poolmesh(["job", "fussy", "no", ...door]);
    assert.match(
      dead.stdout,
      /^state +ended: job_rejected\n(.*\n)*message +not this one\nsee +poolmesh dead fussy show no$/m,
    );
    const unknown = await poolmesh(["job", "slow", "nobody", ...door]);
    assert.deepEqual([unknown.code, /not_found/.test(unknown.stderr)], [1, true], unknown.stderr);
    const nowhere = await poolmesh(["jobs", "nowhere", ...door]);
    assert.deepEqual([nowhere.code, /no durable lane/.test(nowhere.stderr)], [69, true], nowhere.stderr);
  }
});

test("enqueue and dead - do through a manager with --url what they do over the broker", async () => {
  const door = ["--url", mesh.manager.url];
  const env = { POOLMESH_CONTROL_TOKEN: CONTROL_TOKEN };
  const remote = (argv: readonly string[]): Promise<ShellExit> => runInShell([...argv, ...door], env);
  assert.equal((await remote(["enqueue", "adder", "41", "--wait"])).stdout, "42");
  const receipt = await remote(["enqueue", "adder", "1", "--id", "far", "--json"]);
  assert.match(receipt.stdout, /^\{"id":"far","sequence":\d+,"duplicate":false\}\n$/);
  for (const id of ["far-1", "far-2"]) {
    const failed = await remote(["enqueue", "fussy", '"never"', "--id", id, "--wait", "--max-attempts", "1"]);
    assert.deepEqual([failed.code, /job_rejected: not this one/.test(failed.stderr)], [1, true], failed.stderr);
  }
  assert.match((await remote(["dead", "fussy"])).stdout, /\nfar-1 .*job_rejected +not this one\nfar-2 /);
  assert.match((await remote(["dead", "fussy", "show", "far-1"])).stdout, /^payload +"never"$/m);
  assert.equal((await remote(["dead", "fussy", "retry", "far-1"])).stdout, "far-1\n");
  const purged = await remote(["dead", "fussy", "purge", "far-2", "nobody"]);
  assert.deepEqual([purged.code, purged.stdout, /nobody: not_found/.test(purged.stderr)], [1, "far-2\n", true]);
  const mistyped = await remote(["enqueue", "addr", "1"]);
  assert.deepEqual([mistyped.code, /did you mean adder/.test(mistyped.stderr)], [69, true], mistyped.stderr);
  const refused = await runInShell(["dead", "fussy", ...door], { POOLMESH_CONTROL_TOKEN: "another" });
  assert.equal(refused.code, 77, refused.stderr);
});

test("enqueue - what is said of a job is stored with it, over the broker and with --url alike", async () => {
  let finish = (): void => {};
  const held = new Promise<void>((resolve) => (finish = resolve));
  await mesh.addWorker({ pool: "holding", run: () => held });
  await eventually(() => mesh.manager.pools?.durable?.of(mesh.manager.pools.get("holding")) !== undefined);
  const bus = await connectBus(WHOLE_FILE, mesh.broker);
  const said = ["--key", "tenant-7", "--client", "shop", "--max-attempts", "3", "--backoff", "20-300", "--once"];
  const more = ["--timeout-ms", "20000", "--expires-in-ms", "60000", "--then", "adder:next", "--priority", "normal"];
  const headersOf = async (id: string, ...way: string[]): Promise<string> => {
    const { code, stderr } = await poolmesh(["enqueue", "holding", "1", "--id", id, ...said, ...more, ...way]);
    assert.equal(code, 0, stderr);
    const question = JSON.stringify({ last_by_subj: `pool.holding.durable.normal.${id}` });
    const answer = await bus.nc.request("$JS.API.STREAM.MSG.GET.pool-jobs-holding", question, { timeout: 20_000 });
    const text = Buffer.from(answer.json<{ message: { hdrs: string } }>().message.hdrs, "base64").toString();
    const ofThisOne = /^(NATS\/|Nats-|Pool-(Check|Notify|Expires-At|Enqueued-At|Nonce|Submission))/;
    return text
      .split("\r\n")
      .filter((line) => !ofThisOne.test(line))
      .sort()
      .join("\n");
  };
  try {
    const overBroker = await headersOf("near");
    for (const text of ["tenant-7", "shop", "20-300", "adder"]) assert.ok(overBroker.includes(text), overBroker);
    assert.equal(await headersOf("distant", "--url", mesh.manager.url), overBroker);
  } finally {
    finish();
  }
});

test("cron, limits, dead - what an action does not use is refused, never left out", async () => {
  const lines = [
    ["cron adder list nightly", "NAME"],
    ["cron adder list --time-zone UTC", "--time-zone"],
    ["cron adder remove nightly @hourly", "SCHEDULE"],
    ["cron adder remove nightly --once", "--once"],
    ["limits adder list pool", "TARGET"],
    ["limits adder --running 4", "--running"],
    ["limits adder remove pool --per-ms 500", "--per-ms"],
    ["dead adder --all", "--all"],
    ["dead adder show a --limit 3", "--limit"],
    ["dead adder purge a b --reason job_failed", "--reason"],
    ["dead adder purge a --older-than-ms 60000", "--older-than-ms"],
    ["dead adder retry a --all", "--all"],
  ] as const;
  for (const [line, what] of lines) {
    for (const way of [[], ["--url", mesh.manager.url]]) {
      const { code, stdout, stderr } = await poolmesh([...line.split(" "), ...way]);
      assert.deepEqual([code, stdout], [2, ""], line);
      assert.match(
        stderr,
        new RegExp(`^poolmesh: invalid_argument: ${what}: [^\\n]* does not use it; leave it out\\n$`),
        line,
      );
    }
  }
});

test("enqueue - a chain that has a job twice, or the job itself, is refused: the second would never run", async () => {
  const lines = [
    ["adder 1 --then adder:x --then adder:x", "adder:x is in the chain twice"],
    ["adder 1 --then adder:x --then fussy --then adder:x", "adder:x is in the chain twice"],
    ["adder 1 --id y --then adder:y", "adder:y is the job itself"],
    ["adder 1 --id y --then fussy:y --then adder:y", "adder:y is the job itself"],
    // A broker that has no jobs for later says that first.
    ...((await lacking(NEEDS.schedules)) === false
      ? [["adder 1 --id y --then adder:y --delay-ms 60000", "adder:y is the job itself"]]
      : []),
  ];
  for (const [line = "", why = ""] of lines) {
    for (const way of [[], ["--url", mesh.manager.url]]) {
      const { code, stdout, stderr } = await poolmesh(["enqueue", ...line.split(" "), ...way]);
      assert.deepEqual([code, stdout, stderr.includes(why)], [2, "", true], `${line}: ${stderr}`);
    }
  }
  const fine = ["adder", "1", "--id", "z", "--then", "fussy:z", "--then", "adder", "--then", "adder"];
  assert.equal((await poolmesh(["enqueue", ...fine])).code, 0);
});

test("enqueue - a backoff is two numbers, no more and no less", async () => {
  for (const text of ["10", "5-10-20", "-5-10", "5-", "1e3-1e4", " 5-10", "5–10"]) {
    const { code, stderr } = await poolmesh(["enqueue", "adder", "1", `--backoff=${text}`]);
    assert.deepEqual([code, /such as 1000-600000/.test(stderr)], [2, true], stderr);
  }
});

test("cron - a payload that the broker does not take is refused before it leaves", async () => {
  const most = 1024 * 1024;
  for (const bytes of [most - 100, most, 2 * most]) {
    const options = { input: "1".repeat(bytes) };
    const { code, stderr } = await poolmesh(["cron", "adder", "set", "large", "@hourly", "-"], options);
    assert.match(stderr, /^poolmesh: payload_too_large: payload: /, `${bytes} bytes`);
    assert.notEqual(code, 0);
  }
});

test("dead - shows the handler's code, and a lane that is not there yet is no broker without JetStream", async () => {
  await poolmesh(["enqueue", "fussy", '"coded"', "--id", "coded", "--wait"]);
  const shown = await poolmesh(["dead", "fussy", "show", "coded"]);
  assert.match(shown.stdout, /^code +not\.this$/m, shown.stderr);
  const elsewhere = await poolmesh(["dead", "adder", "--prefix", "elsewhere"]);
  const noLane = "poolmesh: unknown_pool: pool adder has no durable lane\n";
  assert.deepEqual([elsewhere.code, elsewhere.stderr], [69, noLane]);
});
