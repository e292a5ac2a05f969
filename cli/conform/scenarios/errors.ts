/** Scenarios: what ends a job otherwise than with a result. */
import { CATALOGUE, isReason } from "../../../mesh/errors.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { type Kit, PATIENCE_MS } from "../kit.js";
import type { Scenario, ScenarioGroup } from "../scenario.js";
import type { SeenReply, SentJob } from "../sent-job.js";
import { expect, NotTried } from "../verdict.js";

/** Long enough ago for every tolerance, in milliseconds. */
const LONG_AGO_MS = 60_000;

const handlerFails: Scenario = {
  name: "handler-fails",
  level: "v1",
  sentence: "A handler that fails ends its job with the error `job_failed`, or `job_rejected` when no retry will help.",
  async run(kit) {
    const { sent, outcome } = await failing(kit);
    const reason = outcome.error?.reason;
    expect(reason === "job_failed" || reason === "job_rejected", sent.summary);
  },
};

const errorShape: Scenario = {
  name: "error-shape",
  level: "v1",
  sentence:
    "An error has its reason in `Pool-Error`, its text in `Nats-Service-Error`, its number in `Nats-Service-Error-Code`, and the body `reason: text`.",
  async run(kit) {
    const { outcome } = await failing(kit);
    const reason = outcome.header(HEADER.error);
    expect(isReason(reason), reason === "" ? "Pool-Error is missing" : `${reason} is no reason of the catalogue`);
    expect(outcome.header(HEADER.serviceError) !== "", "Nats-Service-Error is missing");
    const number = outcome.header(HEADER.serviceErrorCode);
    expect(number === String(CATALOGUE[reason].number), `Nats-Service-Error-Code is ${number || "missing"}`);
    expect(outcome.text.startsWith(`${reason}: `), `the body does not begin with "${reason}: "`);
  },
};

/** A job that its handler fails. */
async function failing(kit: Kit): Promise<{ sent: SentJob; outcome: SeenReply }> {
  const { failing: payload } = kit.payloads;
  const how = "--failing-payload TEXT";
  if (payload === undefined) throw new NotTried(`needs a job that fails: ${how}`);
  const sent = kit.send({ payload });
  const outcome = await sent.outcome(PATIENCE_MS + kit.slowMs);
  expect(outcome !== undefined, sent.summary);
  if (outcome.kind === "result") throw new NotTried(`the handler does not fail for what it was sent: ${how}`);
  return { sent, outcome };
}

const deadline: Scenario = {
  name: "deadline",
  level: "v1",
  sentence: "At the deadline the handler is told to stop, and the job is answered with the error `deadline_exceeded`.",
  async run(kit) {
    const sent = await kit.start({ timeoutMs: Math.ceil(kit.slowMs / 3) });
    const outcome = await sent.outcome(kit.slowLimitMs);
    expect(outcome?.error?.reason === "deadline_exceeded", sent.summary);
  },
};

const expired: Scenario = {
  name: "expired",
  level: "v1",
  sentence:
    "A job without `Pool-Clock` whose `Pool-Expires-At` was more than 2 s ago is not started; its answer is the error `deadline_exceeded`.",
  async run(kit) {
    const sent = kit.send({ expiresAt: kit.link.bus.runtime.wallNow() - LONG_AGO_MS });
    await sent.outcome(PATIENCE_MS);
    expect(sent.replies.length === 1 && sent.replies[0]?.error?.reason === "deadline_exceeded", sent.summary);
  },
};

const malformedHeader: Scenario = {
  name: "malformed-header",
  level: "v1",
  sentence:
    "A header whose value is malformed is answered with the error `invalid_argument`, with its name in `Pool-Field`, and the job is not run.",
  async run(kit) {
    const headers: readonly [name: string, value: string][] = [
      [HEADER.attempt, "soon"],
      [HEADER.attempt, "0"],
      [HEADER.timeoutMs, "-5"],
    ];
    for (const [name, value] of headers) {
      const sent = kit.sendRaw({ [HEADER.jobId]: kit.newId(), [name]: value });
      const outcome = await sent.outcome(PATIENCE_MS);
      const isRefused = sent.replies.length === 1 && outcome?.error?.reason === "invalid_argument";
      expect(isRefused, `${name}: ${value} got ${sent.summary}`);
      expect(outcome?.header(HEADER.field) === name, `Pool-Field is ${outcome?.header(HEADER.field) || "missing"}`);
    }
  },
};

export const ERRORS: ScenarioGroup = {
  title: "Errors",
  scenarios: [handlerFails, errorShape, deadline, expired, malformedHeader],
};
