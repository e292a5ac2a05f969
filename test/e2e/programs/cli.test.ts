/** The commands that ask something of a mesh: what they print, and how they exit. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { CLI, type Exit, startCli, startProcess } from "../../support/process.js";
import { isAlive, startUp, type UpMesh } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

leakGuard();

const SLOW = ["--pool", "slow", "--handler", "examples/handlers/slow.ts", "--workers", "2", "--labels", "zone=b"];
let mesh: UpMesh;

before(async () => {
  mesh = await startUp(WHOLE_FILE, SLOW);
});

/** Exit code, stdout and stderr. */
async function poolmesh(...args: string[]): Promise<[code: number | null, stdout: string, stderr: string]> {
  const { code, stdout, stderr } = await mesh.run(args);
  return [code, stdout, stderr];
}

describe("cli - help", () => {
  test("the real command prints its help and exits with 0, and refuses nonsense with 2", async (t) => {
    const help = await startCli(t, [], { input: "" }).exit();
    assert.deepEqual([help.code, help.stderr], [0, ""]);
    assert.match(help.stdout, /^Usage: poolmesh COMMAND/);
    const nonsense = await startCli(t, ["wrker"], { input: "" }).exit();
    assert.deepEqual([nonsense.code, nonsense.stdout], [2, ""]);
    assert.match(nonsense.stderr, /did you mean worker\?/);
  });
});

describe("cli - submit", () => {
  test("the result's bytes are on stdout and nothing else", async () => {
    assert.deepEqual(await poolmesh("submit", "slow", "1"), [0, '{"waitedMs":1}', ""]);
  });

  test("- reads the payload from stdin", async () => {
    const { code, stdout } = await mesh.run(["submit", "slow", "-"], { input: "2" });
    assert.deepEqual([code, stdout], [0, '{"waitedMs":2}']);
  });

  test("--json prints what is known of the job, and of an error", async () => {
    const [code, stdout] = await poolmesh("submit", "slow", "1", "--json", "--id", "my-job");
    const { id, result, worker, attempt } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([code, id, result, attempt], [0, "my-job", { waitedMs: 1 }, 1]);
    assert.ok(mesh.ready.workers?.includes(String(worker)));
    const [failed, text] = await poolmesh("submit", "slow", "-1", "--json");
    assert.equal(failed, 1);
    assert.equal((JSON.parse(text) as { error: { reason: string } }).error.reason, "job_failed");
  });

  test("--direct dispatches without a manager", async () => {
    assert.deepEqual(await poolmesh("submit", "slow", "3", "--direct"), [0, '{"waitedMs":3}', ""]);
  });

  test("errors are one line with their reason, and the exit code says which kind", async () => {
    const cases: [args: string[], code: number, stderr: RegExp][] = [
      [["submit", "slow", '"x"'], 1, /^poolmesh: job_failed: .*milliseconds\n$/],
      [["submit", "slow", "60000", "--timeout-ms", "200"], 1, /^poolmesh: deadline_exceeded: /],
      [["submit", "nobody", "1", "--no-wait"], 69, /^poolmesh: unknown_pool: /],
      [["submit", "a b", "1"], 2, /^poolmesh: invalid_argument: pool name has a character/],
      [
        ["submit", "slow", "{", "--codec", "json"],
        2,
        /^poolmesh: invalid_argument: payload: not valid json( at position 1)?\n$/,
      ],
      [["submit", "slow", "1", "--timeout-ms", "0"], 78, /^poolmesh: configuration:\n {2}--timeout-ms: /],
    ];
    for (const [args, code, pattern] of cases) {
      const [found, stdout, stderr] = await poolmesh(...args);
      assert.deepEqual([found, stdout], [code, ""], args.join(" "));
      assert.match(stderr, pattern);
    }
  });

  test("without a broker, or without a manager, it says so and exits with 69", async (t) => {
    const alone = await startBroker(t);
    const exits = await Promise.all(
      ["nats://127.0.0.1:9", alone.url].map((NATS_URL) =>
        startCli(t, ["submit", "p", "1"], { input: "", env: { NATS_URL } }).exit(60_000),
      ),
    );
    assert.deepEqual(
      exits.map(({ code }) => code),
      [69, 69],
    );
    assert.match(exits[0]?.stderr ?? "", /bus_unavailable: no broker at nats:\/\/127\.0\.0\.1:9/);
    assert.match(exits[1]?.stderr ?? "", /bus_unavailable: no manager/);
  });

  test("cancel ends a running job, and a second time there is nobody to cancel", async () => {
    const job = mesh.start(["submit", "slow", "60000", "--id", "long", "--timeout-ms", "60000"], { input: "" });
    const canceled = await eventually(
      async () => {
        const exit = await mesh.run(["cancel", "slow", "long"]);
        return exit.code === 0 ? exit : undefined;
      },
      { limitMs: 60_000, what: "the job is there to cancel" },
    );
    assert.equal(canceled.stdout, "");
    const { code, stderr } = await job.exit();
    assert.deepEqual([code, stderr.split(":")[1]], [1, " canceled"]);
    const [again, , message] = await poolmesh("cancel", "slow", "long");
    assert.deepEqual([again, message], [1, "poolmesh: not_found: nobody has a live job with this id\n"]);
  });
});

describe("cli - workers and control", () => {
  const states = async (): Promise<string[]> => {
    const { stdout } = await mesh.run(["workers", "slow", "--json"]);
    return (JSON.parse(stdout) as { state: string }[]).map(({ state }) => state.replace("WORKER_STATE_", ""));
  };

  test("workers are a table, with or without the pool's name", async () => {
    const [code, stdout] = await poolmesh("workers");
    const [titles, ...rows] = stdout.trimEnd().split("\n");
    assert.equal(code, 0);
    assert.match(titles ?? "", /^POOL +WORKER +STATE +BUSY +SLOTS +DONE/);
    assert.equal(rows.length, 2);
    for (const row of rows) assert.match(row, /^slow +\S+ +READY .* zone=b$/);
    const unknown = "poolmesh: unknown_pool: no worker of pool nobody answers; pools with workers: slow\n";
    assert.deepEqual(await poolmesh("workers", "nobody"), [69, "", unknown]);
  });

  test("one worker is paused and resumed by name, and a whole pool by its own", async () => {
    const [name = ""] = mesh.ready.workers ?? [];
    assert.deepEqual(await poolmesh("pause", name), [0, `slow/${name}  PAUSED  0 of 1 slots busy\n`, ""]);
    assert.deepEqual((await states()).sort(), ["PAUSED", "READY"]);
    await poolmesh("pause", "--pool", "slow");
    assert.deepEqual(await states(), ["PAUSED", "PAUSED"]);
    const [code, stdout] = await poolmesh("resume", "--pool", "slow", "--label", "zone=b");
    assert.deepEqual([code, stdout.trimEnd().split("\n").length], [0, 2]);
    assert.deepEqual(await states(), ["READY", "READY"]);
  });

  test("resize changes the slots, and says what there is now", async () => {
    const [code, stdout] = await poolmesh("resize", "--pool", "slow", "--slots", "3", "--json");
    assert.deepEqual([code, (JSON.parse(stdout) as { slots: number }[]).map(({ slots }) => slots)], [0, [3, 3]]);
  });

  test("a command for nobody in particular, or for somebody unknown, is refused", async () => {
    assert.deepEqual((await poolmesh("drain"))[0], 2);
    assert.deepEqual((await poolmesh("pause", "no-such-worker"))[0], 1);
    assert.match((await poolmesh("pause", "--pool", "slow", "--label", "zone"))[2], /label: use KEY=VALUE/);
  });

  test("restart names a worker that no up supervises", async (t) => {
    const args = ["worker", "--pool", "lone", "--id", "lone-1", "--exec", "cat"];
    const worker = startCli(t, args, { env: mesh.env });
    await worker.line(/worker ready/, 60_000);
    const [code, , stderr] = await poolmesh("restart", "lone-1");
    assert.equal(code, 1);
    assert.match(stderr, /lone\/lone-1: not_found: no `poolmesh up` supervises it/);
    assert.equal((await worker.stop()).code, 0);
  });
});

describe("cli - doctor", () => {
  test("a mesh that is well has no ✖, and who is there is counted", async () => {
    const [code, stdout] = await poolmesh("doctor");
    assert.equal(code, 0);
    assert.ok(!stdout.includes("✖"), stdout);
    for (const pattern of [/✔ version/, /✔ managers +1/, /✔ meters +1/, /✔ workers +2 in 1 pool/])
      assert.match(stdout, pattern);
  });

  test("no broker, refused subjects and a stream on our subjects are bad and say what to do", async (t) => {
    const none = await startCli(t, ["doctor"], { input: "", env: { NATS_URL: "nats://127.0.0.1:9" } }).exit(60_000);
    assert.equal(none.code, 1);
    assert.match(none.stdout, /✖ broker .*\n.*→ start one/);

    const strict = await startBroker(t, {
      extraConfig:
        'authorization { users: [{user: u, password: p, permissions: {publish: "_INBOX.>", subscribe: ">"}}] }',
    });
    const env = { NATS_URL: strict.url, POOLMESH_PASSWORD: "p" };
    const refused = await startCli(t, ["doctor", "--user", "u", "--as", "client"], { input: "", env }).exit(60_000);
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, /✖ as a client .*pool\.\*\.submit/);
    assert.match(refused.stdout, /• as a worker .*pool\.\*\.heartbeat/);
  });
});

describe("cli - nats and top", () => {
  test("nats runs a broker until it is told to stop", async (t) => {
    const nats = startCli(t, ["nats", "--port", "0", "--json"]);
    const [line] = await nats.line(/^\{.*\}$/, 60_000);
    const ready = JSON.parse(line) as { nats: string; pid: number };
    const doctor = await startCli(t, ["doctor"], { input: "", env: { NATS_URL: ready.nats } }).exit(60_000);
    assert.equal(doctor.code, 0);
    assert.equal((await nats.stop()).code, 0);
    assert.equal(isAlive(ready.pid), false);
  });

  test("top --once shows the pool and its workers", async () => {
    const [code, stdout] = await poolmesh("top", "--once", "--meter", mesh.ready.meter);
    assert.equal(code, 0);
    assert.match(stdout, /slow/);
    assert.match(stdout, /slow .*[23] ready|slow .*\d+ % fail/);
  });
});

describe("cli - pipes", () => {
  test("a reader that leaves ends the command without a word", async (t) => {
    const script = `yes 1 | node ${CLI.join(" ")} map slow | head -n 2`;
    const shell = startProcess(t, "bash", ["-c", `set -o pipefail; ${script}`], { env: mesh.env, input: "" });
    const { stdout, stderr }: Exit = await shell.exit(60_000);
    assert.equal(stdout.trimEnd().split("\n").length, 2);
    assert.equal(stderr, "");
  });
});
