/**
 * `poolmesh conform`: our own worker and those of examples/ keep every sentence of the protocol that they claim, and each
 * fault is told by its own scenario.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { SCENARIOS } from "../../cli/conform/scenarios/all.js";
import { EXIT } from "../../cli/exit-codes.js";
import type { SignalListener } from "../../cli/shell.js";
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { connectBus, startBroker, WHOLE_FILE } from "../support/broker.js";
import { jobFaults } from "../support/conform/job-faults.js";
import { deafWhenPaused, drainFaults, lifeFaults, versionOne } from "../support/conform/life-faults.js";
import { type Fault, SLOW_MS, startTampered, waiting } from "../support/conform/tampered-worker.js";
import { protocolCode } from "../support/docs/docs-code.js";
import { examplePython, goBuild, goProgram } from "../support/docs/example-programs.js";
import { runInShell, type ShellExit } from "../support/docs/fake-shell.js";
import { leakGuard } from "../support/leak-guard.js";
import { startCli, startProcess } from "../support/process.js";
import { toolPath, without } from "../support/tools.js";
import { eventually } from "../support/wait.js";

leakGuard();
const { goWorker, smallGoWorker, python } = await preparePrograms();
/** A small max_payload keeps the largest job small. */
const broker = await startBroker(WHOLE_FILE, { maxPayloadBytes: 65_536 });

/** Checks a worker whose handler knows {@link waiting}. */
function conform(pool: string, argv: readonly string[], slowMs = SLOW_MS): Promise<ShellExit> {
  const payloads = ["--slow-payload", waiting(slowMs), "--progress-payload", waiting(5)];
  return conformAt(broker.url, pool, [...payloads, ...argv]);
}

function conformAt(url: string, pool: string, argv: readonly string[]): Promise<ShellExit> {
  return runInShell(["conform", "--pool", pool, "--json", ...argv], { NATS_URL: url });
}

interface Line {
  readonly scenario?: string;
  readonly status?: string;
  readonly detail?: string;
}

/** The names of the scenarios that ended so. */
function named(stdout: string, status: string): string[] {
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  return lines.filter((each) => each.status === status).map(({ scenario = "" }) => scenario);
}

/** Workers that are checked at the same time. Each has faults that do not touch each other. */
const WORKERS = 12;

describe("conform", { concurrency: true }, () => {
  test("our own worker passes every scenario, and drains at the end", async (t) => {
    const worker = await startTampered(t, broker, "own");
    const { code, stdout, stderr } = await conform("own", ["--drain"]);
    assert.deepEqual([named(stdout, "failed"), named(stdout, "not_tried"), stderr], [[], [], ""], stdout);
    assert.equal(code, EXIT.ok);
    assert.deepEqual(
      named(stdout, "passed"),
      SCENARIOS.map(({ name }) => name),
    );
    await worker.closed;
  });

  const faults = [...jobFaults(), ...lifeFaults()];
  const examples = [
    {
      language: "Go",
      skip: without("go"),
      start: (t: TestContext) => startProcess(t, goWorker, flags("-", "go")),
    },
    {
      language: "Python",
      skip: without("python3"),
      start: (t: TestContext) => startProcess(t, python, ["examples/python/worker.py", ...flags("--", "python")]),
    },
  ];
  for (const { language, skip, start } of examples) {
    test(`the ${language} worker of examples/ passes every scenario but joins and bundles, and drains at the end`, {
      skip,
    }, async (t) => {
      const worker = start(t);
      await worker.line(/^ready/);
      const { code, stdout } = await conform(language.toLowerCase(), ["--drain"]);
      assert.deepEqual(
        [named(stdout, "failed"), named(stdout, "not_tried"), code],
        [[], ["join", "bundle"], EXIT.ok],
        stdout,
      );
      assert.deepEqual([(await worker.exit()).code, worker.stderr], [0, ""]);
    });
  }

  const small = [
    {
      language: "Go",
      skip: without("go"),
      command: async () => [smallGoWorker],
    },
    {
      language: "Python",
      skip: without("python3"),
      command: async () => [python, await protocolCode("python", "worker.py")],
    },
  ];
  for (const { language, skip, command } of small) {
    test(`the small ${language} worker of docs/protocol.md passes all that it claims`, { skip }, async (t) => {
      const own = await startBroker(t);
      const [program = "", ...args] = await command();
      startProcess(t, program, args, { env: { NATS_URL: own.url } });
      const { code, stdout } = await untilThere(() => conformAt(own.url, "adder", []));
      assert.deepEqual([named(stdout, "failed"), named(stdout, "not_tried")], [[], ["accepted-free", "busy"]], stdout);
      assert.deepEqual([code, levelIn(stdout)], [EXIT.ok, "v0"]);
    });
  }

  test("`nats reply` passes as a bare worker", { skip: without("nats") }, async (t) => {
    const reply = ["reply", "pool.bare.job", "--queue", "workers", "--command", "expr {{Request}} + 1"];
    startProcess(t, toolPath("nats"), ["-s", broker.url, ...reply]);
    const { code, stdout } = await untilThere(() => conformAt(broker.url, "bare", ["--level", "bare"]));
    assert.deepEqual([named(stdout, "failed"), named(stdout, "not_tried"), code], [[], [], EXIT.ok], stdout);
    assert.equal(levelIn(stdout), "bare");
  });

  test("a worker that takes the jobs of other pools too is told", async (t) => {
    const own = await startBroker(t);
    await startTampered(t, own, "greedy");
    const bus = await connectBus(t, own);
    bus.subscribe("pool.*.job", ({ subject, reply }) => {
      if (reply && subject !== "pool.greedy.job") bus.publish(reply, new TextEncoder().encode("42"));
    });
    const { code, stdout } = await conformAt(own.url, "greedy", ["--scenario", "own-pool", "--scenario", "result"]);
    assert.deepEqual([named(stdout, "failed"), named(stdout, "passed"), code], [["own-pool"], ["result"], EXIT.failed]);
  });

  test("a worker is left READY and with its slots, and who is not there is told with 69", async (t) => {
    const worker = await startTampered(t, broker, "left");
    const only = ["pause", "paused-refuses", "resize"].flatMap((name) => ["--scenario", name]);
    assert.equal((await conform("left", only)).code, EXIT.ok);
    assert.deepEqual([worker.workerState, worker.slots], [WorkerState.READY, 2]);
    const nobody = await conform("left", ["--worker", "w2"]);
    assert.deepEqual([nobody.code, nobody.stdout], [EXIT.unavailable, ""]);
    assert.equal(nobody.stderr, "poolmesh: no_workers: worker w2 of pool left sends no heartbeats\n");
    const nowhere = await conform("nowhere", ["--level", "bare"]);
    assert.equal(nowhere.code, EXIT.unavailable);
  });

  test("a command that has just started can tell old offers from new ones", async (t) => {
    await startTampered(t, broker, "new");
    const only = ["lease", "lease-holds", "age-counts"].flatMap((name) => ["--scenario", name]);
    const { code, stdout } = await startCli(t, ["conform", "--pool", "new", ...only], {
      env: { NATS_URL: broker.url },
    }).exit();
    assert.match(stdout, /^worker w1 of pool new, protocol version 2\n\nNonces and leases\n {2}✔ lease /);
    assert.match(stdout, /\n3 passed, 0 failed, 0 not tried\n$/);
    assert.equal(code, EXIT.ok);
  });

  test("a worker that cannot be resumed is named", async (t) => {
    const worker = await startTampered(t, broker, "deaf", [deafWhenPaused()]);
    const { stderr } = await conform("deaf", ["--scenario", "paused-refuses"]);
    assert.equal(worker.workerState, WorkerState.PAUSED);
    assert.match(stderr, /^warning: worker w1 may still be PAUSED: .* poolmesh resume .*\n$/);
  });

  test("a worker that says protocol_version 1 is checked for what that version has", async (t) => {
    await startTampered(t, broker, "first", [versionOne]);
    const { code, stdout } = await conform("first", ["--scenario", "cancel", "--scenario", "nonce"]);
    assert.deepEqual([named(stdout, "passed"), levelIn(stdout), code], [["cancel"], "v1", EXIT.ok]);
  });

  test("of several workers one has to be named, and is told apart from the others", async (t) => {
    await startTampered(t, broker, "two");
    await startTampered(t, broker, "two", [{ what: "is another", fails: [], options: { id: "w2" } }]);
    const unnamed = await conform("two", []);
    assert.equal(unnamed.code, EXIT.usage);
    assert.match(unnamed.stderr, /pool two has workers w1, w2: name one with --worker\n$/);
    const chosen = await conform("two", ["--worker", "w2", "--scenario", "reply-names", "--scenario", "offer"]);
    assert.deepEqual([named(chosen.stdout, "passed"), named(chosen.stdout, "not_tried")], [["reply-names"], ["offer"]]);
    assert.match(chosen.stderr, /^warning: pool two has other workers: .*; use a pool of its own\n$/);
  });

  test("a signal ends it with 130, and a paused worker is resumed", async (t) => {
    const worker = await startTampered(t, broker, "signal");
    let signal: SignalListener = () => assert.fail("no listener");
    const onSignals = (listener: SignalListener): void => {
      signal = listener;
    };
    const argv = ["conform", "--pool", "signal", "--slow-payload", waiting(4_000), "--scenario", "paused-finishes"];
    const ended = runInShell(argv, { NATS_URL: broker.url }, { onSignals });
    await eventually(() => worker.workerState === WorkerState.PAUSED, { limitMs: 30_000 });
    signal("SIGINT", 1);
    assert.equal((await ended).code, EXIT.interrupted);
    assert.equal(worker.workerState, WorkerState.READY);
  });

  for (let i = 0; i < WORKERS; i += 1) {
    const own = faults.filter((_, at) => at % WORKERS === i);
    test(`the right scenarios, and no others, tell a worker that ${whats(own)}`, async (t) => {
      await startTampered(t, broker, `fault-${i}`, own);
      const { code, stdout } = await conform(
        `fault-${i}`,
        [],
        Math.max(SLOW_MS, ...own.map(({ slowMs = 0 }) => slowMs)),
      );
      expectFails(own, stdout, code);
    });
  }
  for (const [i, fault] of drainFaults().entries()) {
    test(`the right scenario, and no other, tells a worker that ${fault.what}`, async (t) => {
      await startTampered(t, broker, `drain-${i}`, [fault]);
      const only = ["drain", "last-heartbeat"].flatMap((name) => ["--scenario", name]);
      const { code, stdout } = await conform(`drain-${i}`, ["--drain", ...only]);
      expectFails([fault], stdout, code);
    });
  }
});

/** What the tests start is made before the first of them: a compiler beside them would take the time that they measure. */
async function preparePrograms(): Promise<{ goWorker: string; smallGoWorker: string; python: string }> {
  const hasGo = without("go") === false;
  return {
    goWorker: hasGo ? await goProgram(WHOLE_FILE, "worker") : "",
    smallGoWorker: hasGo ? await goBuild(WHOLE_FILE, await protocolCode("go", "worker.go"), "docs-worker") : "",
    python: without("python3") === false ? await examplePython(WHOLE_FILE) : "",
  };
}

function expectFails(faults: readonly Fault[], stdout: string, code: number): void {
  const fails = [...new Set(faults.flatMap((each) => each.fails))].sort();
  const failed = stdout.split("\n").filter((line) => line.includes('"status":"failed"'));
  assert.deepEqual([named(stdout, "failed").sort(), code], [fails, EXIT.failed], failed.join("\n"));
}

function whats(faults: readonly Fault[]): string {
  return faults.map(({ what }) => what).join("; ");
}

function flags(dash: string, pool: string): string[] {
  return [`${dash}nats`, broker.url, `${dash}pool`, pool, `${dash}id`, "w1", `${dash}slots`, "2"];
}

/** The level that was checked. */
function levelIn(stdout: string): string {
  return (JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "{}") as { level?: string }).level ?? "";
}

/** A program that has just been started is not there yet. */
function untilThere(check: () => Promise<ShellExit>): Promise<ShellExit> {
  return eventually(async () => {
    const exit = await check();
    return exit.code === EXIT.unavailable ? undefined : exit;
  });
}
