/** The pure parts of `poolmesh up`, doctor and control. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { select } from "../../../cli/control/control.js";
import { brokerFindings } from "../../../cli/doctor/broker-findings.js";
import { clockFinding, workerClockFindings } from "../../../cli/doctor/mesh-findings.js";
import { judge } from "../../../cli/doctor/permission-findings.js";
import { isShown, logText, parseLogLine, stackLines } from "../../../cli/up/log-line.js";
import { readyJson } from "../../../cli/up/ready-line.js";
import { GIVE_UP_AFTER, RestartPolicy } from "../../../cli/up/restart-policy.js";
import { serviceArgs, serviceEnv, UP_SPECS, type UpConfig, workerCount } from "../../../cli/up/up-options.js";
import { HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { readConfig } from "../../../mesh/process/config.js";

describe("up - restart policy", () => {
  test("the pause doubles from 250 ms to 10 s", () => {
    const policy = new RestartPolicy();
    const pauses = Array.from({ length: GIVE_UP_AFTER - 1 }, () => {
      const verdict = policy.onExit(0);
      return verdict.again ? verdict.delayMs : 0;
    });
    assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  });

  test("ten short runs in a row are enough", () => {
    const policy = new RestartPolicy();
    for (let death = 1; death < GIVE_UP_AFTER; death += 1) assert.equal(policy.onExit(1_000).again, true);
    assert.equal(policy.onExit(1_000).again, false);
  });

  test("a run of 30 s takes the pause back", () => {
    const policy = new RestartPolicy();
    for (let death = 1; death < GIVE_UP_AFTER; death += 1) policy.onExit(0);
    assert.deepEqual(policy.onExit(30_000), { again: true, delayMs: 250 });
  });
});

describe("up - log lines of services", () => {
  test("a log line is told from a handler's own words", () => {
    const line = parseLogLine('{"level":40,"time":"t","service":"worker","msg":"slow","ms":5}');
    assert.deepEqual(line, { level: "warn", msg: "slow", fields: { ms: 5 } });
    for (const words of ["hello", "{}", '{"level":40}', '{"level":40,', '{"level":7,"msg":"x"}']) {
      assert.equal(parseLogLine(words), undefined);
    }
  });

  test("a line is shown from its level on", () => {
    assert.equal(isShown("warn", "warn"), true);
    assert.equal(isShown("info", "warn"), false);
    assert.equal(isShown("error", "silent"), false);
  });

  test("fields are shown after the message", () => {
    assert.equal(
      logText({ level: "info", msg: "ready", fields: { url: "http://h", n: 1, t: "a b" } }),
      'info  ready  url=http://h  n=1  t="a b"',
    );
  });
});

describe("up - stacks of services", () => {
  const frames = (...places: string[]): string => places.map((place) => `\n    at ${place}`).join("");
  const own = ["run (/app/totals.ts:11:35)", "Array.map (<anonymous>)", "/app/node_modules/zod/index.js:1:2"];
  const below = ["invoke (file:///lib/poolmesh/dist/handler.js:33:17)", "node:internal/process/task_queues:140:7"];
  const shown = (error: string, stack: string, cause?: string): string[] =>
    stackLines({ level: "warn", msg: "job failed", fields: { error, stack, cause } }, "/lib/poolmesh");

  test("a stack is shown one frame a line, down to the last frame of the user's code, and not beside the message", () => {
    const stack = `Error: no symbol${frames(...own, ...below)}`;
    assert.deepEqual(
      shown("no symbol", stack),
      own.map((place) => `at ${place}`),
    );
    const text = logText({ level: "warn", msg: "job failed", fields: { error: "no symbol", stack } });
    assert.equal(text, 'warn  job failed  error="no symbol"');
  });

  test("a head that says more than the message stays, and so do the frames between those of the user", () => {
    const [first = "", ...rest] = own;
    const stack = `RangeError: no symbol${frames(first, ...below, ...rest, ...below)}`;
    assert.deepEqual(shown("no symbol", stack), [
      "RangeError: no symbol",
      ...[first, ...below, ...rest].map((place) => `at ${place}`),
    ]);
  });

  test("a stack without a frame of the user is whole, and the stack of a cause says that it is one", () => {
    const stack = `Error: lost${frames(...below)}`;
    const all = below.map((place) => `at ${place}`);
    assert.deepEqual(shown("lost", stack, stack), [...all, "caused by Error: lost", ...all]);
  });

  test("a stack moves no cursor, and has at most 24 lines", () => {
    const lines = shown("x", `Error: \u001b[2J${frames(...Array.from({ length: 99 }, () => "run (/app/a.ts:1:1)"))}`);
    assert.equal(lines.length, 24);
    assert.equal(lines[0], "Error: ·[2J");
  });
});

describe("up - options", () => {
  const config = (flags: Record<string, string>): UpConfig => readConfig(UP_SPECS, {}, flags);

  test("without a handler there are no workers, with one there is one worker unless said otherwise", () => {
    assert.equal(workerCount(config({}), {}), 0);
    assert.equal(workerCount(config({ pool: "p", exec: "cat" }), {}), 1);
    assert.equal(workerCount(config({ pool: "p", handler: "h.ts" }), { workers: 4 }), 4);
  });

  test("half of a pool and its handler is refused and named", () => {
    assert.throws(() => workerCount(config({ pool: "p" }), {}), { reason: "invalid_argument", field: "handler" });
    assert.throws(() => workerCount(config({ exec: "cat" }), {}), { reason: "invalid_argument", field: "pool" });
    assert.throws(() => workerCount(config({}), { workers: 2 }), { reason: "invalid_argument", field: "handler" });
    const both = config({ pool: "p", exec: "cat", handler: "h.ts" });
    assert.throws(() => workerCount(both, {}), { reason: "invalid_argument", field: "handler" });
  });

  test("a service is told what it has, and not what it has not", () => {
    const flags = { slots: "4", pool: "p", control: "true", parkedLimit: "5", servers: "nats://u:secret@h" };
    assert.deepEqual(serviceArgs("worker", flags), ["--pool", "p", "--slots", "4"]);
    assert.deepEqual(serviceArgs("manager", flags), ["--parked-limit", "5"]);
    assert.deepEqual(serviceArgs("meter", flags), ["--control"]);
  });

  test("the connection travels in the environment, where no other user sees it", () => {
    const env = serviceEnv({ PATH: "/bin", POOLMESH_ID: "x" }, { credsFile: "c" }, "nats://u:secret@h:1");
    assert.equal(env.POOLMESH_SERVERS, "nats://u:secret@h:1");
    assert.equal(env.POOLMESH_CREDS_FILE, "c");
    assert.equal(env.POOLMESH_ID, undefined);
    assert.equal(env.PATH, "/bin");
  });

  test("the ready line shows no password", () => {
    const urls = { nats: "nats://u:secret@h:1,nats://v:hidden@i:2", manager: "http://m", meter: "http://n" };
    const line = readyJson({
      urls,
      pids: { manager: 1, meter: 2, workers: [] },
      workerIds: [],
      pool: undefined,
      slots: 1,
    });
    const ready = JSON.parse(line) as Record<string, unknown>;
    assert.equal(ready.nats, "nats://h:1,nats://i:2");
    assert.equal(ready.page, "http://n/");
  });
});

describe("control - whom a command means", () => {
  const beat = (worker: string, busy: number, more: object = {}) =>
    create(HeartbeatSchema, { pool: "p", worker, busy, state: WorkerState.READY, ...more });
  const workers = [beat("a", 2), beat("b", 0), beat("c", 1, { labels: { zone: "x" } })];
  const names = (selection: Parameters<typeof select>[1]): string[] =>
    select(workers, selection, "pause").chosen.map(({ worker }) => worker);

  test("a number of workers means idle ones first", () => {
    assert.deepEqual(names({ pool: "p", labels: {}, count: 2 }), ["b", "c"]);
  });

  test("a label means only those that bear it", () => {
    assert.deepEqual(names({ pool: "p", labels: { zone: "x" } }), ["c"]);
    assert.throws(() => names({ pool: "p", labels: { zone: "y" } }), { reason: "not_found" });
  });

  test("a name that is in two pools is refused until the pool is said", () => {
    const two = [...workers, beat("a", 0, { pool: "q" })];
    assert.throws(() => select(two, { worker: "a", labels: {} }, "pause"), {
      reason: "invalid_argument",
      field: "worker",
    });
  });

  test("a name that nobody bears is refused with the nearest one", () => {
    const named = [beat("worker-1", 0), beat("worker-2", 0)];
    assert.throws(() => select(named, { worker: "wroker-2", labels: {} }, "drain"), {
      reason: "not_found",
      message: "no worker wroker-2 answers; did you mean worker-2?",
    });
  });

  test("workers that are not in the right state are left out, unless named", () => {
    const paused = [beat("a", 0, { state: WorkerState.PAUSED })];
    assert.deepEqual(select(paused, { pool: "p", labels: {} }, "pause").chosen, []);
    assert.equal(select(paused, { worker: "a", labels: {} }, "pause").chosen.length, 1);
  });
});

describe("doctor - judgements", () => {
  const facts = {
    url: "127.0.0.1:4222",
    version: "2.9.10",
    jetStream: true,
    maxPayloadBytes: 2 ** 20,
    roundTripMs: 1,
    tls: false,
    loopback: true,
  };
  const states = (more: object): string[] =>
    brokerFindings({ ...facts, ...more }).map(({ state, what }) => `${what} ${state}`);

  test("a usual broker has nothing bad", () => {
    assert.ok(states({}).every((each) => !each.endsWith("bad")));
  });

  test("an old version and a tiny max_payload are bad and say what to do", () => {
    assert.ok(states({ version: "2.8.4" }).includes("version bad"));
    assert.ok(states({ maxPayloadBytes: 1_024 }).includes("max_payload bad"));
    for (const finding of brokerFindings({ ...facts, version: "2.8.4", maxPayloadBytes: 1_024 })) {
      if (finding.state === "bad") assert.ok(finding.advice);
    }
  });

  test("a clock that is off by more than the tolerance is bad", () => {
    assert.equal(clockFinding(10).state, "ok");
    assert.equal(clockFinding(1_500).state, "ok");
    assert.match(clockFinding(5_000).found, /ahead/);
    assert.equal(clockFinding(-5_000).state, "note");
  });

  test("a worker whose clock is off in either direction is named, and how far", () => {
    const at = (sentAtMs: bigint) => [create(HeartbeatSchema, { worker: "w", host: "h\u001b", sentAtMs })];
    assert.deepEqual(workerClockFindings([...at(100_000n), ...at(0n)], 99_000), []);
    for (const [sentAtMs, said] of [
      [100_000n, /w on .* 10(\.0)? s ahead$/],
      [80_000n, /w on .* 10(\.0)? s behind$/],
    ] as const) {
      const [finding] = workerClockFindings(at(sentAtMs), 90_000);
      assert.equal(finding?.state, "note");
      assert.match(finding.found, said);
      assert.ok(!finding.found.includes("\u001b"));
    }
  });

  test("an account for one role is well, an account for none is not", () => {
    const client = { role: "client" as const, subjects: [] };
    const worker = { role: "worker" as const, subjects: ["pool.*.job"] };
    assert.deepEqual(
      judge([client, worker]).map(({ state }) => state),
      ["ok", "note"],
    );
    assert.deepEqual(
      judge([client, worker], "worker").map(({ state }) => state),
      ["ok", "bad"],
    );
    assert.deepEqual(
      judge([{ ...client, subjects: ["x"] }, worker]).map(({ state }) => state),
      ["bad", "bad"],
    );
  });
});
