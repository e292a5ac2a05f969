/** Scenarios: slots are counted, and a full worker refuses. */
import { type Kit, PATIENCE_MS } from "../kit.js";
import type { Scenario, ScenarioGroup } from "../scenario.js";
import { expect, NotTried } from "../verdict.js";

/** A worker with more slots is not filled. */
const MAX_FILLED = 64;

const freeSlots: Scenario = {
  name: "free-slots",
  level: "v0",
  sentence: "The slot is free again before the outcome leaves, and `Pool-Free` counts it.",
  async run(kit) {
    const slots = kit.slots();
    const sent = kit.send();
    const outcome = await sent.outcome(PATIENCE_MS + kit.slowMs);
    expect(outcome !== undefined, sent.summary);
    expect(outcome.free === slots, `Pool-Free is ${outcome.free ?? "missing"}; the idle worker has ${slots} slots`);
  },
};

const acceptedFree: Scenario = {
  name: "accepted-free",
  level: "v0",
  sentence: "`Pool-Free` of `accepted` does not count the slot that the job has taken.",
  async run(kit) {
    const slots = kit.slots();
    const sent = await kit.start();
    const accepted = await sent.first("accepted", kit.answerLimitMs);
    if (accepted === undefined) throw new NotTried("the worker answers with the outcome itself");
    const expected = slots - 1;
    expect(accepted.free === expected, `Pool-Free is ${accepted.free ?? "missing"} instead of ${expected}`);
  },
};

const busy: Scenario = {
  name: "busy",
  level: "v0",
  sentence: "A worker without a free slot answers an offer with `busy` at once, and never queues it.",
  async run(kit) {
    await fill(kit);
    const sent = kit.send();
    const reply = await sent.any(kit.answerLimitMs);
    expect(reply?.kind === "busy", sent.summary);
    expect((reply.free ?? 0) === 0, `busy with Pool-Free ${reply.free}`);
    await kit.cleanUp();
    await kit.quiet();
    expect(sent.replies.length === 1, sent.summary);
  },
};

const fullPlain: Scenario = {
  name: "full-plain",
  level: "v1",
  sentence: "A worker without a free slot answers a job without `Pool-Offer` with the error `pool_full`.",
  async run(kit) {
    await fill(kit);
    const sent = kit.send({ offer: false });
    const reply = await sent.any(kit.answerLimitMs);
    expect(reply?.error?.reason === "pool_full", sent.summary);
  },
};

/** Gives every slot a slow job. */
async function fill(kit: Kit): Promise<void> {
  const slots = kit.slots();
  if (slots > MAX_FILLED) throw new NotTried(`the worker has ${slots} slots; at most ${MAX_FILLED} are filled`);
  await Promise.all(Array.from({ length: slots }, () => kit.start()));
}

export const SLOTS: ScenarioGroup = { title: "Slots", scenarios: [freeSlots, acceptedFree, busy, fullPlain] };
