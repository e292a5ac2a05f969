/** What the command line prints: colours, tables, bars, results, exit codes. */
import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { EXIT, errorText, exitCodeOf } from "../../../cli/exit-codes.js";
import { eventLine } from "../../../cli/inspect/event-line.js";
import { factLines } from "../../../cli/output/facts.js";
import { failureLines } from "../../../cli/output/failure-report.js";
import { fitHelp } from "../../../cli/output/fit-help.js";
import { indentedJson, JsonText, jsonLine, oneLineJson } from "../../../cli/output/json-text.js";
import { LineBatch } from "../../../cli/output/line-batch.js";
import { Output } from "../../../cli/output/output.js";
import { type Progress, progressLine } from "../../../cli/output/progress-bar.js";
import { errorFields, resultFields } from "../../../cli/output/result-fields.js";
import { tableLines } from "../../../cli/output/table.js";
import { wrapHanging } from "../../../cli/output/wrap.js";
import { JobEventSchema } from "../../../gen/poolmesh/v1/job_pb.js";
import { CATALOGUE, PoolError, type Reason } from "../../../mesh/errors.js";
import { seededRandom } from "../../support/random.js";

const REASONS = Object.keys(CATALOGUE) as Reason[];

function terminal(env: Record<string, string>): Output {
  return new Output(Object.assign(new PassThrough(), { isTTY: true }), env);
}

test("cli - of a job whose payload a worker refused it says that it did not run", () => {
  const job = { pool: "totals", id: "j-1", worker: "w1", attempt: 1, totalMs: 5 };
  const ran = (error: PoolError) =>
    failureLines(terminal({ NO_COLOR: "1" }), { ...job, error })
      .find(isRan)
      ?.slice(11);
  const isRan = (line: string) => line.startsWith("  it ran");
  assert.equal(ran(new PoolError("invalid_argument", "payload: does not fit")), "no");
  assert.equal(ran(new PoolError("job_failed", "oops")), "yes");
  assert.equal(ran(new PoolError("worker_lost", "gone", { maybeExecuted: true })), "perhaps, in part or to its end");
});

describe("cli - colours", () => {
  test("a pipe gets plain text, a terminal colours", () => {
    assert.equal(new Output(new PassThrough(), {}).style("red", "x"), "x");
    assert.equal(terminal({}).style("red", "x"), "\u001b[31mx\u001b[39m");
  });

  test("NO_COLOR and a dumb terminal take colours away, FORCE_COLOR gives them", () => {
    assert.equal(terminal({ NO_COLOR: "1" }).color, false);
    assert.equal(terminal({ TERM: "dumb" }).color, false);
    assert.equal(terminal({ NO_COLOR: "" }).color, true);
    assert.equal(new Output(new PassThrough(), { FORCE_COLOR: "1" }).color, true);
  });

  test("a write waits for a reader that is slow", async () => {
    const slow = new PassThrough({ highWaterMark: 10 });
    const written = new Output(slow, {}).write("x".repeat(1_000));
    let done = false;
    void written.then(() => {
      done = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(done, false);
    slow.resume();
    await written;
  });
});

describe("cli - exit codes", () => {
  test("every reason of the catalogue has an exit code that is documented", () => {
    const documented = new Set<number>(Object.values(EXIT));
    for (const reason of REASONS) {
      const code = exitCodeOf(new PoolError(reason, "why"));
      assert.ok(code !== 0 && documented.has(code), `${reason}: ${code}`);
    }
  });

  test("failures of the job are 1, a full pool is 75, what is away is 69, configuration is 78", () => {
    for (const reason of ["job_failed", "job_rejected", "worker_lost", "deadline_exceeded", "canceled"] as const) {
      assert.equal(exitCodeOf(new PoolError(reason, "why")), 1);
    }
    for (const reason of ["bus_unavailable", "no_workers", "unknown_pool"] as const) {
      assert.equal(exitCodeOf(new PoolError(reason, "why")), 69);
    }
    assert.equal(exitCodeOf(new PoolError("pool_full", "why")), 75);
    assert.equal(exitCodeOf(new PoolError("invalid_argument", "pool name is empty")), 2);
    assert.equal(exitCodeOf(new PoolError("invalid_argument", "configuration:\n  --slots: no")), 78);
  });

  test("a reason is said once, also when the message of another program begins with it", () => {
    const error = new PoolError("invalid_argument", "invalid_argument: payload: not valid json");
    assert.equal(errorText(error), "invalid_argument: payload: not valid json");
    const coded = new PoolError("job_failed", "declined", { jobCode: "card.declined" });
    assert.equal(errorText(coded), "job_failed: declined (code card.declined)");
  });

  test("an error reads reason, message, and what else matters", () => {
    const full = new PoolError("pool_full", "no room", { retryAfterMs: 120.4 });
    assert.equal(errorText(full), "pool_full: no room (try again in 121 ms)");
    const lost = new PoolError("worker_lost", "it died", { maybeExecuted: true });
    assert.equal(errorText(lost), "worker_lost: it died (it may have run)");
  });
});

describe("cli - results", () => {
  test("a failed job's line has the handler's code beside its reason", () => {
    const failed = errorFields(new PoolError("job_failed", "declined", { jobCode: "card.declined" }));
    assert.deepEqual([failed.reason, failed.code, failed.message], ["job_failed", "card.declined", "declined"]);
    assert.ok(!("code" in errorFields(new PoolError("job_failed", "declined"))));
  });

  test("a result is JSON when it is JSON, else text, else base64", () => {
    assert.deepEqual(resultFields(Buffer.from('{"a":1}'), "auto"), { result: new JsonText('{"a":1}') });
    assert.deepEqual(resultFields(Buffer.from("hello"), "auto"), { result: "hello" });
    assert.deepEqual(resultFields(Buffer.from([0xff, 0xfe]), "auto"), { resultBase64: "//4=" });
    assert.deepEqual(resultFields(Buffer.alloc(0), "auto"), { result: "" });
  });

  test("a form that is asked for is kept", () => {
    assert.deepEqual(resultFields(Buffer.from("42"), "text"), { result: "42" });
    assert.deepEqual(resultFields(Buffer.from("42"), "bytes"), { resultBase64: "NDI=" });
    assert.deepEqual(resultFields(Buffer.alloc(0), "json"), { result: null });
  });
});

describe("cli - JSON as text", () => {
  test("indented and on one line it has the same tokens, whatever its values are", () => {
    const written = '{"a":12345678901234567890,"a":[1e400,-0.0,{},[],"\\\\\\" ,:{"],"":{"\\u00e9":null}}';
    const indented = indentedJson(written);
    assert.equal(
      indented,
      [
        "{",
        '  "a": 12345678901234567890,',
        '  "a": [',
        "    1e400,",
        "    -0.0,",
        "    {},",
        "    [],",
        '    "\\\\\\" ,:{"',
        "  ],",
        '  "": {',
        '    "\\u00e9": null',
        "  }",
        "}",
      ].join("\n"),
    );
    assert.equal(oneLineJson(indented), written);
    assert.equal(oneLineJson(` ${written}\t`), written);
  });

  test("random values look as JSON.stringify shows them", () => {
    const random = seededRandom(11);
    const make = (depth: number): unknown => {
      const kind = Math.floor(random() * (depth > 3 ? 4 : 6));
      if (kind === 0) return Math.floor(random() * 1e6) / 8;
      if (kind === 1) return ["", "\\", '"', "a b", "{[,:]}", "\u2028"][Math.floor(random() * 6)];
      if (kind === 2) return null;
      if (kind === 3) return random() < 0.5;
      const members = Array.from({ length: Math.floor(random() * 4) }, () => make(depth + 1));
      return kind === 4 ? members : Object.fromEntries(members.map((each, i) => [`k${i}"\\`, each]));
    };
    for (let round = 0; round < 300; round += 1) {
      const value = make(0);
      assert.equal(indentedJson(JSON.stringify(value)), JSON.stringify(value, null, 2));
      assert.equal(oneLineJson(JSON.stringify(value, null, 2)), JSON.stringify(value));
    }
  });

  test("a string of megabytes is one token", () => {
    const long = JSON.stringify(`${"x\\".repeat(2 ** 20)}"`);
    assert.equal(oneLineJson(`[\n${long}\n]`), `[${long}]`);
  });

  test("an object takes pieces of JSON as they are and leaves out what is undefined", () => {
    assert.equal(jsonLine({ a: new JsonText("1.0"), b: undefined, 'c"': "ü" }), '{"a":1.0,"c\\"":"ü"}');
  });
});

describe("cli - tables and bars", () => {
  test("columns are aligned, colours take no room", () => {
    const paint = (text: string): string => `<${text}>`;
    const rows = [
      [{ text: "a" }, { text: "7" }, { text: "x" }],
      [{ text: "long", paint }, { text: "100" }, { text: "y" }],
    ];
    const columns = [{ title: "NAME" }, { title: "N", align: "right" as const }, { title: "LAST" }];
    assert.deepEqual(tableLines(columns, rows), ["NAME    N  LAST", "a       7  x", "<long>  100  y"]);
  });

  test("a message goes on below itself between words, and what is copied stays whole", () => {
    const facts = [
      ["job", "j-1"],
      ["message", "the bank says no, and it says so every time"],
      ["see", "poolmesh dead mail show an-id-that-is-long"],
    ] as const;
    assert.deepEqual(factLines(facts, 32), [
      "job       j-1",
      "message   the bank says no, and",
      "          it says so every time",
      "see       poolmesh dead mail show an-id-that-is-long",
    ]);
    assert.equal(factLines(facts, Number.POSITIVE_INFINITY).length, 3);
  });

  test("a sentence that is too long goes on to the right of its beginning", () => {
    assert.deepEqual(wrapHanging("poolmesh: not_found: no such worker", 24), [
      "poolmesh: not_found:",
      "  no such worker",
    ]);
    assert.deepEqual(wrapHanging("  --slots: use a number", 16), ["  --slots: use", "    a number"]);
    assert.deepEqual(wrapHanging("  fits", 6), ["  fits"]);
  });

  test("events of all pools stand below each other", () => {
    const line = (pool: string) =>
      eventLine(terminal({ NO_COLOR: "1" }), create(JobEventSchema, { pool, jobId: "j1" }), 6);
    assert.equal(line("mail").indexOf("j1"), line("render").indexOf("j1"));
    assert.ok(line("mail").includes("mail"));
  });

  test("columns without room stand below their row with their titles, and no line is wider than the terminal", () => {
    const columns = [
      { title: "JOB" },
      { title: "AGE", align: "right" as const },
      { title: "WORKER" },
      { title: "SAYS" },
    ];
    const rows = [
      ["one", "7 s", "worker-1", "the bank says no"],
      ["a-long-id", "12 s", "", ""],
    ].map((row) => row.map((text) => ({ text })));
    assert.deepEqual(tableLines(columns, rows, 26), [
      "JOB         AGE  WORKER",
      "one         7 s  worker-1",
      "  SAYS the bank says no",
      "a-long-id  12 s",
    ]);
    assert.deepEqual(tableLines(columns, rows, 24).slice(0, 4), [
      "JOB         AGE",
      "one         7 s",
      "  WORKER worker-1",
      "  SAYS the bank says no",
    ]);
    assert.deepEqual(tableLines(columns, rows, 5)[0], "JOB");
    for (let room = 24; room < 60; room += 1) {
      const lines = tableLines(columns, rows, room);
      assert.ok(
        lines.every((line) => line.length <= room),
        lines.join("\n"),
      );
    }
    assert.equal(tableLines(columns, rows, 60).length, 3);
  });

  const progress: Progress = {
    label: "digest",
    done: 500,
    failed: 0,
    perSecond: 120,
    fraction: 0.5,
    total: 1_000,
    leftMs: 4_200,
  };

  test("a bar shows share, count, rate and remaining time", () => {
    const line = progressLine(progress, 100, false);
    assert.match(line, /^digest █{14}░{14} {2}50 % {3}500 of 1.000 {3}120\/s {3}4.2 s left$/);
  });

  test("no line is wider than the terminal", () => {
    for (let columns = 60; columns < 130; columns += 1) {
      for (const fraction of [0, 0.1, 0.333, 0.99, 1]) {
        assert.ok(progressLine({ ...progress, fraction, failed: 3 }, columns, false).length <= columns);
      }
    }
  });

  test("an endless input has a count and a rate, and no bar", () => {
    const endless = { ...progress, fraction: undefined, total: undefined, leftMs: undefined };
    assert.equal(progressLine(endless, 100, false), "digest   500   120/s");
  });
});

describe("cli - lines that leave together", () => {
  test("many lines are few writes in their order, and a line that comes alone leaves at the end of its turn", async () => {
    const writes: string[] = [];
    const stream = new Writable({
      write: (chunk, _encoding, done) => {
        writes.push(String(chunk));
        done();
      },
    });
    const batch = new LineBatch(new Output(stream, {}));
    void batch.add("alone\n");
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    assert.deepEqual(writes, ["alone\n"]);
    const startedAt = performance.now();
    const lines = Array.from({ length: 2_000 }, (_, i) => `${i}\n`);
    for (const line of lines) {
      await batch.add(line);
      await new Promise(setImmediate);
    }
    await batch.flush();
    assert.equal(writes.join(""), `alone\n${lines.join("")}`);
    assert.ok(writes.length <= 3 + (performance.now() - startedAt) / 10, `${writes.length} writes`);
  });
});

test("help - a command that is too wide goes on in the next line, and is the same command to a shell", () => {
  const command =
    "  seq 9 | poolmesh map adder --url https://manager:8080 --ca-file ca.pem --token-file ci.token | jq .result";
  const fitted = fitHelp(`Examples:\n${command}\n`, 60);
  for (const line of fitted.split("\n")) assert.ok(line.length <= 60, line);
  assert.equal(
    fitted.replace(/\\\n/g, "").replace(/ {2,}/g, " "),
    `Examples:\n${command.trimStart()}\n`.replace("\n", "\n "),
  );
  assert.equal(fitHelp("short\nlines  stay\n  list  x\n", 60), "short\nlines  stay\n  list  x\n");
});
