import assert from "node:assert/strict";
import { test } from "node:test";
import { byHeat, PoolOrder } from "../../../browser/order-pools.js";
import { isFailing, type PoolFigures, poolWarnings, severity } from "../../../browser/pool-health.js";
import { pageWarnings } from "../../../services/meter/page/pools/warnings.js";
import { farBehind } from "../../../services/meter/page/workers/versions.js";

const CALM = { starting: 0, ready: 2, paused: 0, draining: 0, stopped: 0, lost: 0 };

function pool(name: string, figures: Partial<PoolFigures> = {}): PoolFigures {
  const { slots = 8, busy = 4 } = figures;
  return {
    pool: name,
    slots,
    busy,
    utilization: slots === 0 ? 1 : busy / slots,
    parked: 0,
    oldestWaitMs: 0,
    conflicts: 0,
    managers: 1,
    endedLastMinute: 100n,
    failedLastMinute: 0n,
    coveringStreams: [],
    workers: CALM,
    ...figures,
  };
}

const FAILING = { failedLastMinute: 60n };
const SATURATED = { busy: 8, parked: 3 };
const kinds = (figures: Partial<PoolFigures>) => poolWarnings(pool("p", figures)).map(({ kind }) => kind);
const names = (pools: readonly PoolFigures[]) => pools.map((each) => each.pool).join(" ");

test("poolWarnings - a pool in order has none, and each trouble has its own", () => {
  assert.deepEqual(kinds({}), []);
  assert.deepEqual(kinds({ busy: 8 }), [], "full and nothing waits");
  assert.deepEqual(kinds({ managers: 0 }), ["managers"]);
  assert.deepEqual(kinds({ coveringStreams: ["AUDIT"] }), ["stream"]);
  assert.deepEqual(kinds(FAILING), ["failing"]);
  assert.deepEqual(kinds(SATURATED), ["full", "parked"]);
  assert.deepEqual(kinds({ slots: 0, busy: 0, parked: 3 }), ["slots", "parked"]);
  assert.deepEqual(kinds({ parked: 3 }), ["parked"], "some slots are free: the jobs leave in a moment");
  assert.deepEqual(kinds({ parked: 3, oldestWaitMs: 1_500 }), ["full", "parked"], "they have not left");
  assert.deepEqual(kinds({ conflicts: 1, workers: { ...CALM, lost: 1, draining: 1 } }), [
    "lost",
    "conflict",
    "draining",
  ]);
});

test("poolWarnings - all pools together are not saturated, since slots of one pool take no jobs of another", () => {
  assert.deepEqual(kinds({ pool: "", ...SATURATED }), ["parked"]);
});

test("poolWarnings - a pool without workers needs no manager", () => {
  assert.deepEqual(kinds({ managers: 0, slots: 0, busy: 0, workers: { ...CALM, ready: 0, stopped: 1 } }), []);
});

test("poolWarnings - a stream's name moves no cursor and turns no text", () => {
  const [warning] = poolWarnings(pool("p", { coveringStreams: ["A\u202e\u001b[2J"] }));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  assert.doesNotMatch(warning?.text ?? "", /[\u0000-\u001f\u202e]/);
});

test("isFailing - one failure among many is none, a pool that fails every job is one at once", () => {
  const failing = (failed: bigint, ended: bigint) => isFailing({ endedLastMinute: ended, failedLastMinute: failed });
  assert.deepEqual(
    [failing(0n, 0n), failing(1n, 100n), failing(2n, 20n), failing(3n, 20n), failing(4n, 100n), failing(1n, 1n)],
    [false, false, false, true, false, true],
  );
});

test("byHeat - pools that fail come first, then saturated ones, then the fuller ones", () => {
  const pools = [
    pool("idle", { busy: 0 }),
    pool("half"),
    pool("none", { slots: 0, busy: 0 }),
    pool("nearly", { busy: 7 }),
    pool("saturated", SATURATED),
    pool("failing", FAILING),
    pool("lonely", { managers: 0 }),
  ];
  assert.equal(names(pools.sort(byHeat)), "failing lonely saturated nearly half idle none");
});

test("PoolOrder - the order rests while somebody looks, and is right again after five seconds", () => {
  const order = new PoolOrder();
  const [a, b, hotB] = [pool("a"), pool("b", { busy: 1 }), pool("b", SATURATED)];
  assert.equal(names(order.arrange([a, b], 0)), "a b");
  assert.equal(names(order.arrange([a, hotB], 1_000)), "a b");
  assert.equal(names(order.arrange([a, hotB], 9_000, true)), "a b");
  assert.equal(names(order.arrange([a, hotB], 9_000)), "b a");
});

test("PoolOrder - a pool that comes meanwhile is at the end, one that goes is gone, and figures are always new", () => {
  const order = new PoolOrder();
  order.arrange([pool("a"), pool("b")], 0);
  const [, b, c] = order.arrange([pool("a"), pool("b", { busy: 5 }), pool("c", FAILING)], 100);
  assert.deepEqual([b?.busy, c?.pool], [5, "c"]);
  assert.equal(names(order.arrange([pool("c", FAILING), pool("b")], 200)), "b c");
});

test("PoolOrder - pools that are about alike do not change places", () => {
  const order = new PoolOrder();
  assert.equal(
    names(order.arrange([pool("a", { slots: 100, busy: 41 }), pool("b", { slots: 100, busy: 47 })], 0)),
    "a b",
  );
  assert.equal(
    names(order.arrange([pool("a", { slots: 100, busy: 41 }), pool("b", { slots: 100, busy: 49 })], 6_000)),
    "a b",
  );
});

test("pageWarnings - of all pools the worst are named, of one pool only its own, and the rest is counted", () => {
  const pools = [..."abcdef"].map((name) => pool(name, FAILING));
  const all = pageWarnings("", [pool("calm"), ...pools]);
  assert.deepEqual([all.shown.map((each) => each.pool).join(""), all.more], ["abcd", 2]);
  const one = pageWarnings("f", pools);
  assert.deepEqual([one.shown.map(({ kind }) => kind), one.shown[0]?.pool, one.more], [["failing"], "", 0]);
  assert.match(one.shown[0]?.text ?? "", /60 of 100 jobs .* failed/);
});

test("pageWarnings - of one pool it says the figures that the page lists below", () => {
  const one = pageWarnings("f", [pool("f", FAILING)], { ok: 30n, job_failed: 50n, worker_lost: 8n, canceled: 2n });
  assert.match(one.shown[0]?.text ?? "", /58 of 90 jobs .* failed/);
  assert.deepEqual(pageWarnings("f", [pool("f", FAILING)], { ok: 30n }).shown, []);
});

test("severity - agrees with the warnings", () => {
  for (const figures of [{}, FAILING, SATURATED, { managers: 0 }, { parked: 1 }, { coveringStreams: ["A"] }]) {
    const told = poolWarnings(pool("p", figures));
    assert.equal(severity(pool("p", figures)) > 0, told.length > 0, JSON.stringify(told));
  }
});

test("farBehind - one minor version apart may be mixed, more stands out, and what is no version does not", () => {
  const far = (...versions: string[]) => [...farBehind(versions)].sort().join(" ");
  assert.equal(far("0.3.0", "0.4.1", "0.4.0"), "");
  assert.equal(far("0.2.9", "0.4.0", "0.3.0"), "0.2.9");
  assert.equal(far("0.9.0", "1.0.0"), "0.9.0");
  assert.equal(far("example", "", "v1.2.3", "1.2.0"), "");
  assert.equal(far(), "");
});
