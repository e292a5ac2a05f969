/** What the audit and the log say, whoever chose the words and whatever the level. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { pino } from "pino";
import { Output } from "../../../cli/output/output.js";
import { parseLogLine } from "../../../cli/up/log-line.js";
import { ServiceLog } from "../../../cli/up/service-log.js";
import { Audit } from "../../../mesh/auth/audit.js";
import { Caller } from "../../../mesh/auth/caller.js";
import { grantOf } from "../../../mesh/auth/policy/roles.js";
import { denied } from "../../../mesh/auth/refusals.js";
import { PoolError } from "../../../mesh/errors.js";
import { LOG_LEVELS, logOptions, silentLog } from "../../../mesh/process/log.js";

const DEED = { who: "token:ci", what: "/poolmesh.v1.ManagerService/PauseWorker", pool: "adder", from: "127.0.0.1" };
const BIDI = "\u202e";
const REFUSED = new PoolError("permission_denied", "no");

/** A logger as a service has it, and the texts of its lines. */
function serviceLog(level: string) {
  const texts: string[] = [];
  const log = pino({ ...logOptions("manager"), level }, { write: (text) => void texts.push(text) });
  return { log, texts, lines: () => texts.map((text) => JSON.parse(text) as Record<string, unknown>) };
}

test("audit lines are written whatever the log level is, and a library without a log stays silent", () => {
  for (const level of LOG_LEVELS) {
    const { log, lines } = serviceLog(level);
    const audit = new Audit(log.child({ part: "http" }));
    audit.allowed(DEED);
    audit.failed(DEED, new PoolError("not_found", "no such worker"));
    audit.refused(DEED, REFUSED);
    assert.deepEqual(
      lines().map((line) => [line.audit, line.reason]),
      [
        ["allowed", undefined],
        ["failed", "not_found"],
        ["refused", "permission_denied"],
      ],
      level,
    );
    log.info("not an audit line");
    assert.equal(lines().length, ["info", "debug"].includes(level) ? 4 : 3);
  }
  const silent = new Audit(silentLog.child({}));
  silent.refused(DEED, REFUSED);
});

test("up shows audit lines of its services whatever log level it was told", () => {
  const { log, texts } = serviceLog("info");
  new Audit(log).allowed(DEED);
  log.info("not an audit line");
  for (const level of LOG_LEVELS) {
    const stream = new PassThrough();
    const shown = new ServiceLog(new Output(stream, {}), level);
    for (const text of texts) shown.line("manager", parseLogLine(text) ?? assert.fail(text));
    const said = String(stream.read()).trim().split("\n");
    assert.equal(said.filter((line) => line.includes("PauseWorker")).length, 1, level);
    assert.equal(said.length, ["info", "debug"].includes(level) ? 2 : 1, level);
  }
});

test("what callers chose is bounded in every audit line, and a job without a name has no target", () => {
  const { log, texts, lines } = serviceLog("info");
  const long = "x".repeat(3_000_000);
  new Audit(log).refused({ who: `jwt:${long}`, what: long, pool: long, target: long, from: long }, REFUSED);
  new Audit(log).refused({ ...DEED, target: "" }, REFUSED);
  assert.ok((texts[0] ?? "").length < 1_500, String(texts[0]?.length));
  assert.ok(!("target" in (lines()[1] ?? {})));
  const anybody = new Caller({ name: `jwt:${long}`, proof: "jwt", grants: () => [grantOf("viewer", ["a"])] });
  assert.ok(denied(anybody, "submit", long).message.length < 500);
});

test("a log line has no character that moves a cursor, turns the reading direction or hides, and no text without a bound", () => {
  const { log, texts } = serviceLog("info");
  const bad = `a\u009b31m${BIDI}b\u200bc\u001b[0m\u0007`;
  log.info({ text: bad, list: [bad], deep: { text: bad }, long: "y".repeat(100_000) }, `msg ${bad}`);
  log.warn({ pool: `${bad}\n` }, "a stack\n  keeps its lines");
  for (const text of texts) {
    assert.doesNotMatch(text, /[\u007f-\u009f\u200b-\u200f\u202a-\u202e]|\\u00(1b|07)/);
    assert.ok(text.length < 10_000);
  }
  assert.match(texts[1] ?? "", /"msg":"a stack\\n {2}keeps its lines"/);
});

test("a refusal says in which pool, in all at once, or in any", () => {
  const ci = new Caller({ name: "token:ci", proof: "token", grants: () => [grantOf("viewer", ["a"])] });
  assert.equal(denied(ci, "submit", "b").message, "token:ci may not submit jobs in pool b");
  assert.equal(denied(ci, "view", "").message, "token:ci may not view in all pools at once; only in: a");
  assert.equal(denied(ci, "submit", undefined).message, "token:ci may not submit jobs in any pool");
});
