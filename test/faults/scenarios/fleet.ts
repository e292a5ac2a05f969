/** Fleets that change while they work. */
import assert from "node:assert/strict";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import type { Scenario } from "../rig/scenario.js";
import type { Service } from "../rig/service.js";

/** A machine that is busy with starting processes is no reason to offer a job twice. */
const PATIENT = { env: { ACCEPT_TIMEOUT_MS: "5000" } };

const rolling: Scenario = {
  id: "F16",
  fault: "rolling restart of 6 workers at half load",
  brokers: [1],
  run: async (rig) => {
    const ids = Array.from({ length: 6 }, (_, i) => `w${i + 1}`);
    const [, ...workers] = await Promise.all([
      rig.manager("m1", PATIENT),
      ...ids.map((id) => rig.worker(id, { slots: 2 })),
    ]);
    const caller = await rig.client();
    let rolled = false;
    const order = { do: "wait", ms: 50 } as const;
    const load = caller.load({ jobs: 100_000, window: 6, order, timeoutMs: 20_000, until: () => rolled });
    const together = rig.scale(2, 1);
    for (let i = 0; i < workers.length; i += together) {
      const replace = async (worker: Service): Promise<unknown> => {
        await worker.end();
        return rig.worker(worker.name, { slots: 2 });
      };
      await Promise.all(workers.slice(i, i + together).map(replace));
    }
    rolled = true;
    const heard = await load;
    assertEnded(heard, { ok: heard.length });
    assert.equal(rig.history.of("start").length, heard.length, "nothing runs twice");
    return `${heard.length} jobs ok, each once`;
  },
};

const growAndShrink: Scenario = {
  id: "F17",
  fault: "1, then 20, then 1 workers",
  brokers: [1],
  run: async (rig) => {
    const many = rig.scale(6, 20);
    const [meter] = await Promise.all([rig.meter("meter"), rig.worker("w0", { slots: 2 }), rig.manager("m1")]);
    const view = rig.view(meter);
    await view.shows({ slots: 2, busy: 0 });
    const caller = await rig.client();
    let over = false;
    const order = { do: "wait", ms: 30 } as const;
    const load = caller.load({ jobs: 100_000, window: 4, order, timeoutMs: 20_000, until: () => over });
    const more = Array.from({ length: many - 1 }, (_, i) => rig.spawnWorker(`w${i + 1}`, { slots: 2 }));
    await Promise.all(more.map((worker) => worker.ready()));
    await Promise.all(more.map((worker) => worker.end()));
    over = true;
    const heard = await load;
    await view.shows({ slots: 2, busy: 0 }, machineNow());
    assertEnded(heard, { ok: heard.length });
    const last = await caller.load({ jobs: 4, window: 4, order, timeoutMs: 10_000 });
    assert.ok(
      last.every(({ ok, worker }) => ok && worker === "w0"),
      "no job is left on one that went",
    );
    return `${heard.length} jobs ok through ${many} workers; the meter followed`;
  },
};

/** All of them. */
export const fleet: readonly Scenario[] = [rolling, growAndShrink];
