/** Scenarios of protocol version 2: nonces tell submissions apart, and offers are leases. */
import { ATTEMPTS_PER_MANAGER } from "../../../mesh/job/job.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import { type Kit, PATIENCE_MS } from "../kit.js";
import type { Scenario, ScenarioGroup } from "../scenario.js";
import { expect, NotTried } from "../verdict.js";

/** How old an old offer is, in milliseconds, and by how much the worker may measure it otherwise. */
const OLD_MS = 5_000;
const TOLERANCE_MS = 1_000;

const nonce: Scenario = {
  name: "nonce",
  level: "v2",
  sentence: "The same id with another `Pool-Nonce` is another job.",
  async run(kit) {
    const jobId = kit.newId();
    const payload = kit.slow;
    await kit.result({ jobId, nonce: kit.newId() });
    const { outcomes } = await kit.result({ jobId, nonce: kit.newId(), payload });
    const isRun = (outcomes[0]?.afterMs ?? 0) > kit.slowMs / 2;
    expect(isRun, "the second submission was not run: it got the first one's result");
  },
};

const nonceCancel: Scenario = {
  name: "nonce-cancel",
  level: "v2",
  sentence: "A cancel with `Pool-Nonce` concerns that submission only.",
  async run(kit) {
    const own = kit.newId();
    const sent = await kit.start({ nonce: own });
    kit.cancel(sent.id, ATTEMPTS_PER_MANAGER, kit.newId());
    await kit.quiet();
    expect(sent.outcomes.length === 0, `a cancel with another nonce ended it: ${sent.summary}`);
    // As a manager says it. Without an attempt it is a caller that leaves, which a worker need not heed.
    kit.cancel(sent.id, ATTEMPTS_PER_MANAGER, own);
    const outcome = await sent.outcome(kit.slowLimitMs);
    expect(outcome?.error?.reason === "canceled", `a cancel with its nonce: ${sent.summary}`);
  },
};

const lease: Scenario = {
  name: "lease",
  level: "v2",
  sentence:
    "An offer that is older than its `Pool-Start-Within-Ms` is not started: it is answered with `busy`, with its age in `Pool-Age-Ms`.",
  async run(kit) {
    await letMeasure(kit);
    const sent = kit.send({ clockMs: kit.clock() - OLD_MS, startWithinMs: 1_000 });
    const reply = await sent.any(kit.answerLimitMs);
    expect(reply?.kind === "busy", `an offer that is ${OLD_MS} ms old got ${sent.summary}`);
    const isRight = Math.abs((reply.ageMs ?? 0) - OLD_MS) <= TOLERANCE_MS;
    expect(isRight, `Pool-Age-Ms is ${reply.ageMs ?? "missing"} for an offer that is ${OLD_MS} ms old`);
  },
};

const leaseHolds: Scenario = {
  name: "lease-holds",
  level: "v2",
  sentence: "With `Pool-Clock` a younger offer is started, whatever the wall clocks say.",
  async run(kit) {
    await letMeasure(kit);
    const expiresAt = kit.link.bus.runtime.wallNow() - 3_600_000;
    await kit.result({ clockMs: kit.clock() - 500, startWithinMs: 10_000, expiresAt });
  },
};

const ageCounts: Scenario = {
  name: "age-counts",
  level: "v2",
  sentence: "The time that a job has left is `Pool-Timeout-Ms` less its age.",
  async run(kit) {
    await letMeasure(kit);
    const sent = kit.send({ clockMs: kit.clock() - OLD_MS, startWithinMs: 60_000, timeoutMs: OLD_MS - TOLERANCE_MS });
    await sent.outcome(PATIENCE_MS + kit.slowMs);
    const reply = sent.replies[0];
    expect(reply?.error?.reason === "deadline_exceeded", `a job without time left got ${sent.summary}`);
  },
};

/** Lets the worker see how far away this sender is. */
async function letMeasure(kit: Kit): Promise<void> {
  await kit.result({ clockMs: kit.clock() });
}

const owed: Scenario = {
  name: "owed",
  level: "v2",
  sentence:
    "A worker that answers `owed` names each id in `known_job_ids` or `unknown_job_ids`, and sends the outcomes that it knows again.",
  async run(kit) {
    const nonces = [kit.newId(), ""];
    const sent = await kit.result({ nonce: nonces[0] ?? "" });
    const never = kit.newId();
    const { response } = await kit.control.ask(encodeControl("owed", { jobIds: [sent.id, never], nonces }));
    const { knownJobIds = [], unknownJobIds = [] } = response ?? {};
    if (knownJobIds.length + unknownJobIds.length === 0)
      throw new NotTried("the worker does not answer owed, which is allowed");
    await kit.quiet();
    expect(
      unknownJobIds.includes(never) && !knownJobIds.includes(never),
      "an id that it never saw is not unknown to it",
    );
    if (unknownJobIds.includes(sent.id)) return;
    expect(knownJobIds.includes(sent.id), "an id is in neither list");
    expect(sent.outcomes.length > 1, "the outcome of the id that it knows was not sent again");
  },
};

export const LEASES: ScenarioGroup = {
  title: "Nonces and leases",
  scenarios: [nonce, nonceCancel, lease, leaseHolds, ageCounts, owed],
};
