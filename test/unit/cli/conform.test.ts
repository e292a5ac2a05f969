/** The scenarios of `poolmesh conform` are the rules of docs/protocol.md, and its lines fit every terminal. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { claims, LEVELS, levelOf } from "../../../cli/conform/level.js";
import { listLines, summaryLine, verdictJson, verdictLines } from "../../../cli/conform/report.js";
import type { Verdict } from "../../../cli/conform/run.js";
import { GROUPS, SCENARIOS } from "../../../cli/conform/scenarios/all.js";
import { EXIT } from "../../../cli/exit-codes.js";
import { Output } from "../../../cli/output/output.js";
import { jobFaults } from "../../support/conform/job-faults.js";
import { drainFaults, lifeFaults } from "../../support/conform/life-faults.js";
import { runInShell } from "../../support/docs/fake-shell.js";

const document = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
const names = SCENARIOS.map(({ name }) => name);

function output(columns: number, env: Record<string, string> = {}): Output {
  return new Output(Object.assign(new PassThrough(), { columns }), env);
}

function verdict(name: string, status: Verdict["status"], detail = ""): Verdict {
  const scenario = SCENARIOS.find((each) => each.name === name);
  assert.ok(scenario);
  return { scenario, status, detail, tookMs: 12.3 };
}

describe("scenarios", () => {
  test("each is a row of docs/protocol.md with its level and its sentence word for word, and no other row is there", () => {
    const rows = [...document.matchAll(/^\| `([a-z-]+)` +\| `(bare|v\d)` +\| (.*?) +\|$/gm)];
    const shown = rows.map(([, name, level, sentence]) => ({ name, level, sentence }));
    assert.deepEqual(
      shown.sort((a, b) => (a.name ?? "").localeCompare(b.name ?? "")),
      SCENARIOS.map(({ name, level, sentence }) => ({ name, level, sentence })).sort((a, b) =>
        a.name.localeCompare(b.name),
      ),
    );
  });

  test("each has a name of its own and a sentence that ends", () => {
    assert.equal(new Set(names).size, names.length);
    for (const { sentence } of SCENARIOS) assert.match(sentence, /^[`A-Z].*\.$/);
  });

  test("each is failed by a worker that does one thing wrong", () => {
    /** `offer`: nearly every scenario sends its jobs there. `own-pool`: its fault would answer other workers' jobs. */
    const elsewhere = ["offer", "own-pool"];
    const failed = [...jobFaults(), ...lifeFaults(), ...drainFaults()].flatMap(({ fails }) => fails);
    assert.deepEqual([...new Set([...failed, ...elsewhere])].sort(), [...names].sort());
  });

  test("a level claims what those before it do", () => {
    assert.deepEqual(
      LEVELS.map((level) => LEVELS.filter((rule) => claims(level, rule)).length),
      [1, 2, 3, 4],
    );
    assert.deepEqual(
      [0, 1, 2, 3].map((protocolVersion) => levelOf({ protocolVersion })),
      ["v0", "v1", "v2", "v2"],
    );
  });
});

describe("lines", () => {
  for (const columns of [60, 80, 120, 200]) {
    test(`fit into ${columns} columns, with every sentence whole`, () => {
      for (const { name, sentence } of SCENARIOS) {
        const detail = "a detail that is long enough to need more than one line of a terminal that is not wide";
        const lines = verdictLines(output(columns), verdict(name, "failed", detail), names);
        for (const line of lines) assert.ok(line.length <= columns, line);
        const text = lines.map((line) => line.slice(lines[0]?.indexOf(sentence.slice(0, 3))).trim()).join(" ");
        assert.equal(text, `${sentence} → ${detail}`);
      }
    });
  }

  test("a failure shows what was seen, and what was not tried says why", () => {
    const [passed, failed, notTried] = [
      verdict("result", "passed"),
      verdict("result", "failed", "no answer"),
      verdict("busy", "not_tried", "no slow job: --slow-payload TEXT"),
    ].map((each) => verdictLines(output(120), each, ["result", "busy"]).join("\n"));
    const sentence = "The result of a job is the payload of one reply to the job's reply subject.";
    assert.equal(passed, `  ✔ result  ${sentence}`);
    assert.equal(failed, `  ✖ result  ${sentence}\n            → no answer`);
    assert.match(notTried ?? "", /^ {2}– busy {4}.*\n {12}not tried: no slow job: --slow-payload TEXT$/);
  });

  test("colours are for a terminal alone, and text of a worker moves no cursor", () => {
    const hostile = verdict("result", "failed", 'result "\u001b[2J"');
    const plain = verdictLines(output(80), hostile, names).join("");
    assert.ok(!plain.includes("\u001b"));
    assert.ok(!verdictJson(hostile).includes("\\u001b"));
    const painted = verdictLines(output(80, { FORCE_COLOR: "1" }), hostile, names).join("");
    assert.ok(painted.includes("\u001b[31m✖") && !painted.includes("\u001b[2J"));
  });

  test("the counts name what the worker does not claim", () => {
    const counts = { passed: 16, failed: 0, notTried: 2 };
    assert.equal(summaryLine(output(80), counts, 0), "16 passed, 0 failed, 2 not tried");
    assert.equal(summaryLine(output(80), counts, 38), "16 passed, 0 failed, 2 not tried, 38 not claimed at this level");
  });
});

describe("the command", () => {
  test("--list prints every scenario with its sentence, without a broker", async () => {
    const { code, stdout, stderr } = await runInShell(["conform", "--list"], { NATS_URL: "nats://127.0.0.1:1" });
    assert.deepEqual([code, stderr], [EXIT.ok, ""]);
    const lines = GROUPS.flatMap(({ title, scenarios }) => [
      title,
      ...scenarios.flatMap((each) => listLines(output(80), each, names)),
    ]);
    assert.deepEqual(
      stdout.split("\n").filter((line) => line !== ""),
      lines,
    );
  });

  test("a scenario that does not exist is refused with the nearest one", async () => {
    const { code, stderr } = await runInShell(["conform", "--pool", "p", "--scenario", "one-awnser"]);
    const hint = "invalid_argument: scenario: there is none of this name; did you mean one-answer?";
    assert.deepEqual([code, stderr], [EXIT.usage, `poolmesh: ${hint}\n`]);
  });

  test("without a pool it is refused", async () => {
    const { code, stderr } = await runInShell(["conform"]);
    assert.deepEqual([code, stderr], [EXIT.usage, "poolmesh: invalid_argument: pool: say --pool NAME\n"]);
  });
});
