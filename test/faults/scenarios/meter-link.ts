/** Meters that are told to stop, and that are cut off. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { eventually } from "../../support/wait.js";
import type { Scenario } from "../rig/scenario.js";

const stopMeter: Scenario = {
  id: "F79",
  fault: "SIGTERM a meter with 50 open streams",
  brokers: [1],
  run: async (rig) => {
    const [meter] = await Promise.all([rig.meter("meter"), rig.worker("w1")]);
    const view = rig.view(meter);
    const streams = Array.from({ length: 50 }, () => view.watch(rig.owner));
    await eventually(() => streams.every(({ messages }) => messages > 0), { what: "50 streams" });
    await meter.end();
    await eventually(() => streams.every(({ end }) => end !== undefined), { what: "all to end" });
    for (const { end } of streams) {
      assert.ok(end instanceof ConnectError, String(end));
      assert.equal(end.code, Code.Unavailable);
    }
    return "50 streams ended as unavailable; exit 0";
  },
};

const cutOff: Scenario = {
  id: "F80",
  fault: "the meter is cut off from the broker",
  brokers: [1],
  run: async (rig) => {
    const proxy = await rig.proxy();
    const [meter] = await Promise.all([rig.meter("meter", { via: proxy.url }), rig.worker("w1", { slots: 3 })]);
    const view = rig.view(meter);
    await view.shows({ slots: 3, busy: 0 });
    const stream = view.watch(rig.owner);
    await eventually(() => stream.slots === 3);
    proxy.reset({ refuse: true });
    await eventually(() => stream.stale, { what: "the stream to be stale" });
    const cutMs = rig.scale(4_500, 6_000);
    await delay(cutMs);
    const { pools, freshness } = await view.now();
    assert.equal(pools[0]?.slots, 3, "not shown as lost");
    assert.ok(freshness?.stale && freshness.staleAgeMs >= cutMs - 1_000, `stale for ${freshness?.staleAgeMs} ms`);
    assert.equal(stream.end, undefined, "the stream stays");
    proxy.heal();
    await eventually(() => !stream.stale, { what: "the stream to be fresh again" });
    await view.shows({ slots: 3, busy: 0 });
    const dips = rig.history
      .of("stream")
      .slice(1)
      .filter(({ slots }) => slots !== 3);
    assert.deepEqual(dips, [], "never shown as lost, then or afterwards");
    await view.mustEndOn(stream, { slots: 3, busy: 0 });
    return `stale with its age, ${Math.round(freshness.staleAgeMs)} ms, all workers kept; fresh again`;
  },
};

/** All of them. */
export const meterLinks: readonly Scenario[] = [stopMeter, cutOff];
