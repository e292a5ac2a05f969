/** Handlers that misbehave. */
import assert from "node:assert/strict";
import { eventually } from "../../support/wait.js";
import type { Order } from "../rig/handler.js";
import type { Scenario } from "../rig/scenario.js";

const throws: Scenario = {
  id: "F06",
  fault: "a handler throws an Error, a string, null, rejects, throws after answering",
  brokers: [1],
  run: async (rig) => {
    await rig.manager("m1");
    await rig.worker("w1");
    const caller = await rig.client();
    const ways: Order["do"][] = ["throw-error", "throw-string", "throw-null", "reject"];
    for (const way of ways) {
      const heard = await caller.submit({ do: way }, { timeoutMs: 10_000 });
      assert.deepEqual([heard.reason, heard.maybeExecuted], ["job_failed", false], way);
    }
    const late = await caller.submit({ do: "throw-late" }, { timeoutMs: 10_000 });
    assert.ok(late.ok, "what is thrown after the answer changes nothing");
    const next = await caller.submit({ do: "return" }, { timeoutMs: 10_000 });
    assert.ok(next.ok, "the one slot is free again");
    return `job_failed ${ways.length} times, one outcome each; the slot was free each time`;
  },
};

const neverSettles: Scenario = {
  id: "F09",
  fault: "a handler never settles",
  brokers: [1],
  run: async (rig) => {
    const env = { ABORT_GRACE_MS: "300" };
    const [meter, inline] = await Promise.all([
      rig.meter("meter"),
      rig.worker("w-inline", { slots: 2, graceMs: 500, env }),
      rig.manager("m1"),
    ]);
    const caller = await rig.client();
    const heard = await caller.submit({ do: "never" }, { timeoutMs: 1_000 });
    assert.equal(heard.reason, "deadline_exceeded");
    await eventually(() => rig.history.of("signal").length === 1, { what: "its signal" });
    const view = rig.view(meter);
    await eventually(async () => (await view.worker("w-inline"))?.heartbeat?.stuck === 1, {
      what: "the stuck slot to be shown",
    });
    assert.equal((await view.worker("w-inline"))?.heartbeat?.busy, 1, "the slot is not free in silence");
    await inline.end();
    await rig.worker("w-process", { isolation: "process", env });
    const isolated = await caller.submit({ do: "never" }, { timeoutMs: 1_000 });
    assert.equal(isolated.reason, "deadline_exceeded");
    // The handler is killed, and could not say that it ended.
    rig.history.add({ kind: "end", id: isolated.id, attempt: 1, worker: "w-process", pid: 0, how: "aborted" });
    const next = await caller.submit({ do: "return" }, { timeoutMs: 10_000 });
    assert.ok(next.ok, "an isolated handler is ended and its slot comes back");
    return "deadline_exceeded, signal fired; inline: shown as stuck; isolated: ended, slot back";
  },
};

/** All of them. */
export const handlers: readonly Scenario[] = [throws, neverSettles];
