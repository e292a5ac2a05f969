/** Scenarios: attempts that come twice, that are canceled, or that are revoked. */
import { PATIENCE_MS } from "../kit.js";
import type { Scenario, ScenarioGroup } from "../scenario.js";
import type { SentJob } from "../sent-job.js";
import { expect, Failed, NotTried } from "../verdict.js";

const repeatRunning: Scenario = {
  name: "repeat-running",
  level: "v1",
  sentence:
    "An attempt that runs here and comes once more is not started again: the second sending is answered with `accepted`, or with the error `duplicate_job`.",
  async run(kit) {
    const job = { jobId: kit.newId(), attempt: 1, payload: kit.slow };
    await kit.start(job);
    const again = kit.send(job);
    const reply = await again.any(kit.answerLimitMs);
    const isKnown = reply?.kind === "accepted" || reply?.error?.reason === "duplicate_job";
    expect(isKnown, again.summary);
    const free = kit.slots() - 1;
    expect((reply.free ?? free) === free, "it has taken a second slot");
  },
};

const repeatEnded: Scenario = {
  name: "repeat-ended",
  level: "v1",
  sentence:
    "An attempt that has ended here and comes once more within 10 s is not run again: its outcome is sent again, or the error `duplicate_job`.",
  async run(kit) {
    const job = { jobId: kit.newId(), attempt: 1, payload: kit.slow };
    await kit.result(job);
    const again = kit.send(job);
    await again.any(kit.answerLimitMs);
    const reply = again.replies[0];
    expect(reply?.kind !== "accepted" && reply?.kind !== "progress", "it was started again");
    expect(isOutcome(again), again.summary);
    expect((reply?.afterMs ?? 0) < kit.slowMs / 2, "it was run again");
  },
};

function isOutcome({ outcomes }: SentJob): boolean {
  return outcomes[0]?.kind === "result" || outcomes[0]?.error?.reason === "duplicate_job";
}

const laterAttempt: Scenario = {
  name: "later-attempt",
  level: "v1",
  sentence:
    "A later attempt of the same job is run, or answered under its own number with the outcome of an earlier one.",
  async run(kit) {
    const jobId = kit.newId();
    await kit.result({ jobId, attempt: 1 });
    const { outcomes } = await kit.result({ jobId, attempt: 2 });
    expect(outcomes[0]?.attempt === 2, `its result names attempt ${outcomes[0]?.attempt ?? "none"}`);
  },
};

const join: Scenario = {
  name: "join",
  level: "v1",
  sentence:
    "A worker that says `answers_later_attempts` starts nothing for an attempt with `Pool-Join: 1`: it answers with what it has, or with `busy`.",
  async run(kit) {
    const isClaimed = kit.hearing.last(kit.target.worker)?.answersLaterAttempts === true;
    if (!isClaimed) throw new NotTried("its heartbeat does not say answers_later_attempts, which is allowed");
    const jobId = kit.newId();
    await kit.result({ jobId, attempt: 1, payload: kit.slow });
    const joined = kit.send({ to: "worker", jobId, attempt: 2, join: true, payload: kit.slow });
    const outcome = await joined.outcome(kit.slowLimitMs);
    expect(
      outcome?.kind === "result" && outcome.attempt === 2,
      `an attempt of a job that it has run got ${joined.summary}`,
    );
    expect(outcome.afterMs < kit.slowMs / 2, "the job was run again");
    const unknown = kit.send({ to: "worker", join: true, payload: kit.slow });
    const reply = await unknown.any(kit.answerLimitMs);
    expect(reply?.kind === "busy", `an attempt of a job that it has not got ${unknown.summary}`);
  },
};

const cancel: Scenario = {
  name: "cancel",
  level: "v1",
  sentence: "A cancel at `pool.P.cancel.J` stops the handler, and the job is answered with the error `canceled`.",
  async run(kit) {
    const sent = await kit.start();
    kit.cancel(sent.id);
    await expectCanceled(sent, kit.slowLimitMs);
  },
};

const cancelAnswer: Scenario = {
  name: "cancel-answer",
  level: "v1",
  sentence:
    "The worker that runs the job answers the cancel with an empty `result`; a worker that does not says nothing.",
  async run(kit) {
    const sent = await kit.start();
    const asked = kit.cancel(sent.id);
    const reply = await asked.any(PATIENCE_MS);
    expect(reply?.kind === "result" && reply.data.length === 0, `the cancel got ${asked.summary}`);
    const unknown = kit.cancel(kit.newId());
    await kit.quiet();
    expect(unknown.replies.length === 0, `a cancel of an unknown job got ${unknown.summary}`);
  },
};

const revocation: Scenario = {
  name: "revocation",
  level: "v1",
  sentence: "A cancel with `Pool-Attempt: N` stops attempts up to N, and no later one.",
  async run(kit) {
    const later = await kit.start({ attempt: 2 });
    kit.cancel(later.id, 1);
    const outcome = await later.outcome(kit.slowLimitMs);
    expect(outcome?.kind === "result", `attempt 2 got ${later.summary} when attempt 1 was revoked`);
    const revoked = await kit.start({ attempt: 2 });
    kit.cancel(revoked.id, 2);
    await expectCanceled(revoked, kit.slowLimitMs);
  },
};

async function expectCanceled(sent: SentJob, limitMs: number): Promise<void> {
  const outcome = await sent.outcome(limitMs);
  if (outcome?.error?.reason !== "canceled") throw new Failed(`the canceled job got ${sent.summary}`);
}

const lateAttempt: Scenario = {
  name: "late-attempt",
  level: "v1",
  sentence: "An attempt that was revoked before it came is not started; later attempts are.",
  async run(kit) {
    const jobId = kit.newId();
    kit.cancel(jobId, 2);
    await kit.quiet();
    const late = kit.send({ jobId, attempt: 2 });
    await kit.result({ jobId, attempt: 3 });
    await kit.quiet();
    const isStarted = late.replies.some(({ kind }) => kind === "accepted" || kind === "result" || kind === "progress");
    expect(!isStarted, `the revoked attempt got ${late.summary}`);
  },
};

export const ATTEMPTS: ScenarioGroup = {
  title: "Attempts and cancels",
  scenarios: [repeatRunning, repeatEnded, laterAttempt, join, cancel, cancelAnswer, revocation, lateAttempt],
};
