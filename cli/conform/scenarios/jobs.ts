/** Scenarios: a job comes, and its outcome goes back. */
import { HEADER } from "../../../mesh/wire/headers.js";
import { payloadLimit } from "../../../mesh/wire/payloads.js";
import { type Kit, PATIENCE_MS } from "../kit.js";
import type { Scenario, ScenarioGroup } from "../scenario.js";
import type { SeenReply, SentJob } from "../sent-job.js";
import { expect, Failed, NotTried } from "../verdict.js";

const OTHER_POOL_MS = 500;

const result: Scenario = {
  name: "result",
  level: "bare",
  sentence: "The result of a job is the payload of one reply to the job's reply subject.",
  async run(kit) {
    const sent = kit.sendPlain();
    const outcome = await sent.outcome(PATIENCE_MS + kit.slowMs);
    expect(outcome?.kind === "result", sent.summary);
    const { expected } = kit.payloads;
    expect(expected === undefined || outcome.text.trim() === expected, `${sent.summary} instead of ${expected}`);
  },
};

const oneAnswer: Scenario = {
  name: "one-answer",
  level: "bare",
  sentence: "A job without `Pool-Offer` gets exactly one answer, the outcome.",
  async run(kit) {
    const sent = kit.sendPlain(kit.slowOrQuick);
    await sent.outcome(PATIENCE_MS + kit.slowMs);
    await kit.quiet();
    expect(sent.replies.length === 1, sent.summary);
  },
};

const unknownHeaders: Scenario = {
  name: "unknown-headers",
  level: "bare",
  sentence: "Headers that you do not know are ignored.",
  async run(kit) {
    await kit.result({ offer: false, more: { "X-Conform": "1", "Pool-Conform": "no such header" } });
  },
};

const ownPool: Scenario = {
  name: "own-pool",
  level: "bare",
  sentence: "A worker takes the jobs of its own pool only.",
  async run(kit) {
    const { inbox, subjects } = kit.link;
    const subject = subjects.job(kit.newId());
    const answer = await inbox.ask({ subject, payload: kit.payloads.quick, limitMs: OTHER_POOL_MS });
    expect(answer.kind === "absent", "somebody listens at the subject of a pool that does not exist");
  },
};

const offer: Scenario = {
  name: "offer",
  level: "v0",
  sentence: "Offers come at `pool.P.job`, in the queue group `workers`.",
  async run(kit) {
    if (!kit.target.alone) throw new NotTried("other workers of the pool take offers too: give this one its own pool");
    await kit.result({ to: "pool" });
  },
};

const assignment: Scenario = {
  name: "assignment",
  level: "v0",
  sentence: "A job at `pool.P.job.W` is a job like any other.",
  async run(kit) {
    await kit.result({ to: "worker" });
  },
};

const replyNames: Scenario = {
  name: "reply-names",
  level: "v0",
  sentence:
    "A reply to an offer says its kind in `Pool-Reply` and who answers in `Pool-Worker`, and repeats `Pool-Job-Id` and `Pool-Attempt`.",
  async run(kit) {
    const sent = kit.send({ attempt: 7 });
    const reply = await sent.outcome(PATIENCE_MS + kit.slowMs);
    expect(reply !== undefined, sent.summary);
    const expected: readonly [header: string, value: string][] = [
      [HEADER.reply, "result"],
      [HEADER.worker, kit.target.worker],
      [HEADER.jobId, sent.id],
      [HEADER.attempt, "7"],
    ];
    for (const [header, value] of expected) {
      const said = reply.header(header);
      expect(said === value, said === "" ? `${header} is missing` : `${header} is ${said} instead of ${value}`);
    }
  },
};

const answersInTime: Scenario = {
  name: "answers-in-time",
  level: "v0",
  sentence: "An offer is answered within 250 ms: with `accepted`, with `busy`, or with the outcome itself.",
  async run(kit) {
    const sent = kit.send({ payload: kit.slowOrQuick });
    expect((await sent.any(kit.answerLimitMs)) !== undefined, `${sent.summary} within ${kit.answerLimitMs} ms`);
    await sent.outcome(kit.slowLimitMs);
  },
};

const oneOutcome: Scenario = {
  name: "one-outcome",
  level: "v0",
  sentence: "Each attempt has one outcome, and no reply follows it.",
  async run(kit) {
    const sent = kit.send({ payload: kit.slowOrQuick });
    await sent.outcome(kit.slowLimitMs);
    await kit.quiet();
    expect(sent.outcomes.length === 1 && sent.replies.at(-1) === sent.outcomes[0], sent.summary);
  },
};

const progress: Scenario = {
  name: "progress",
  level: "v1",
  sentence: "An offer hears `progress` in order, before its outcome; a job without `Pool-Offer` hears none.",
  async run(kit) {
    const payload = kit.payloads.progress;
    if (payload === undefined) throw new NotTried("needs a job that reports progress: --progress-payload TEXT");
    const offered = await kit.result({ payload });
    const reports = offered.replies.filter(({ kind }) => kind === "progress");
    if (reports.length === 0) throw new NotTried("the job with --progress-payload reports no progress");
    expect(reports.every(isAbout(offered)), "a progress does not name its job");
    const plain = await kit.result({ payload, offer: false });
    await kit.quiet();
    expect(plain.replies.length === 1, `without Pool-Offer: ${plain.summary}`);
  },
};

function isAbout(sent: SentJob): (reply: SeenReply) => boolean {
  return ({ jobId }) => jobId === sent.id;
}

const noReplySubject: Scenario = {
  name: "no-reply-subject",
  level: "v1",
  sentence: "A job without a reply subject is run, and nobody is answered.",
  async run(kit) {
    kit.send({ reply: "" });
    await kit.quiet();
    await kit.result();
  },
};

const inboxOnly: Scenario = {
  name: "inbox-only",
  level: "v1",
  sentence: "A job whose reply subject is no inbox is dropped, and nothing is published there.",
  async run(kit) {
    const { bus } = kit.link;
    const elsewhere = `conform.${kit.newId()}`;
    let heard = 0;
    const subscription = bus.subscribe(elsewhere, () => {
      heard += 1;
    });
    await bus.flush();
    kit.send({ reply: elsewhere });
    await kit.result().finally(() => kit.quiet());
    subscription.unsubscribe();
    if (heard > 0) throw new Failed("the worker published to a subject that is no inbox");
  },
};

const largePayload: Scenario = {
  name: "large-payload",
  level: "v1",
  sentence: "A payload of `max_payload` less 512 bytes is a job like any other.",
  async run(kit) {
    const payload = padded(kit);
    const sent = kit.send({ payload });
    const outcome = await sent.outcome(PATIENCE_MS + kit.slowMs);
    const isOne = outcome !== undefined && outcome.error?.reason !== "payload_too_large";
    expect(isOne, `${sent.summary} to ${payload.length} bytes`);
  },
};

/** The quick payload with as many spaces behind it as the broker takes. */
function padded(kit: Kit): Uint8Array {
  const payload = new Uint8Array(payloadLimit(kit.link.bus)).fill(0x20);
  payload.set(kit.payloads.quick);
  return payload;
}

const replyKinds: Scenario = {
  name: "reply-kinds",
  level: "v0",
  sentence: "`Pool-Reply` is `accepted`, `busy`, `progress`, `result` or `error`.",
  async run(kit) {
    const sent = kit.send({ payload: kit.slowOrQuick });
    await sent.outcome(kit.slowLimitMs);
    const strange = kit.sent.find(({ replies }) => replies.some(({ kind }) => kind === "unknown"));
    expect(strange === undefined, strange?.summary ?? "");
  },
};

export const JOBS: ScenarioGroup = {
  title: "Jobs",
  scenarios: [
    result,
    oneAnswer,
    unknownHeaders,
    ownPool,
    offer,
    assignment,
    replyNames,
    answersInTime,
    oneOutcome,
    replyKinds,
    progress,
    noReplySubject,
    inboxOnly,
    largePayload,
  ],
};
