import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { mergeCapacity, NO_CAPACITY } from "../../../browser/merge-capacity.js";
import { mergeWorkers, NO_WORKERS } from "../../../browser/merge-workers.js";
import { PoolOrder } from "../../../browser/order-pools.js";
import { levelBar, slotCells } from "../../../cli/top/bar.js";
import { clipLine, fit, lineWidth, paintLine, span } from "../../../cli/top/line.js";
import { renderScreen, type TopState } from "../../../cli/top/screen.js";
import { snapshotJson } from "../../../cli/top/snapshot-json.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { WatchCapacityResponseSchema, WatchWorkersResponseSchema } from "../../../gen/poolmesh/v1/meter_pb.js";
import { FakeFleet } from "../../support/meter/fake-fleet.js";

const live = { state: "live" } as const;

function stateOf(fleet: FakeFleet, pool = ""): TopState {
  for (let i = 0; i < 5; i += 1) fleet.step();
  const pools = fleet.pools.map(({ name }) => fleet.capacity(name));
  const capacity = create(WatchCapacityResponseSchema, {
    version: 1n,
    snapshot: true,
    pools,
    total: fleet.capacity(""),
  });
  const workers = create(WatchWorkersResponseSchema, {
    version: 1n,
    snapshot: true,
    changed: [...fleet.views.values()],
  });
  return {
    url: "http://127.0.0.1:8090",
    pool,
    capacity: { ...mergeCapacity(NO_CAPACITY, capacity, 0), connection: live },
    workers: { ...mergeWorkers(NO_WORKERS, workers, 0), connection: live },
  };
}

const mesh = () =>
  new FakeFleet([
    { name: "adder", workers: 3, slots: 4, load: 0.7 },
    { name: "render", workers: 40, slots: 100, load: 1.2 },
  ]);

const textOf = (state: TopState, columns: number, rows: number) =>
  renderScreen(state, { columns, rows }, 0).map((line) => paintLine(line, false));

test("renderScreen - fits every size, down to nothing", () => {
  const state = stateOf(mesh());
  for (const columns of [1, 20, 80, 120, 400]) {
    for (const rows of [1, 5, 24, 200]) {
      const lines = renderScreen(state, { columns, rows }, 0);
      assert.ok(lines.length <= rows, `${lines.length} lines in ${rows}`);
      for (const line of lines) assert.ok(lineWidth(line) <= columns);
    }
  }
});

test("renderScreen - how long a worker has been lost is never cut", () => {
  const fleet = mesh();
  const lost = fleet.find("adder-2");
  assert.ok(lost?.heartbeat);
  lost.heartbeat.state = WorkerState.LOST;
  for (const [ageMs, text] of [
    [9_000, "9 s"],
    [7 * 60_000 + 12_000, "7 min"],
    [59 * 60_000 + 59_000, "59 min"],
    [23 * 3_600_000 + 59 * 60_000, "23 h"],
  ] as const) {
    lost.ageMs = ageMs;
    const row = textOf(stateOf(fleet), 70, 24).find((line) => line.includes("adder-2"));
    assert.match(row ?? "", new RegExp(` ${text} +–?`));
    assert.doesNotMatch(row ?? "", /…/);
  }
});

test("renderScreen - from 50 columns on no title and no word is cut, and what matters most is there", () => {
  const fleet = mesh();
  const lost = fleet.find("render-33")?.heartbeat;
  assert.ok(lost);
  lost.state = WorkerState.LOST;
  const state = stateOf(fleet);
  const titles = /^(POOL|UTILIZATION|BUSY|JOBS\/S|PARKED|OLDEST|WORKERS|STATE|WORKER|SLOTS|BEAT|FAILED|DONE|LAG|HOST)$/;
  const words = /^(all|pools|lost|saturated|ready|conflict|paused|draining|starting|adder|render|live|poolmesh)$/;
  for (let columns = 50; columns <= 220; columns += 1) {
    const text = textOf(state, columns, 30);
    const heads = text.filter((line) => /POOL|STATE/.test(line));
    assert.equal(heads.length, 2);
    for (const title of heads.join(" ").trim().split(/\s+/)) assert.match(title, titles, `${columns}: ${title}`);
    for (const word of text
      .slice(2, 6)
      .join(" ")
      .match(/[a-z]+/g) ?? []) {
      if (!["k", "m", "s", "ms", "none"].includes(word)) assert.match(word, words, `${columns}: ${word}`);
    }
    for (const title of ["POOL", "UTILIZATION", "PARKED", "WORKERS"])
      assert.ok(heads[0]?.includes(title), `${columns}`);
    for (const title of ["STATE", "WORKER", "BUSY", "FAILED"]) assert.ok(heads[1]?.includes(title), `${columns}`);
    assert.match(text.join("\n"), /1 lost/);
  }
});

test("renderScreen - what is wrong is said whole at every width, between words, and workers keep their room", () => {
  const fleet = mesh();
  fleet.trouble.set("adder", { streams: ["AUDIT"] });
  fleet.trouble.set("render", { managers: 0 });
  const state = stateOf(fleet);
  for (let columns = 60; columns <= 160; columns += 1) {
    const text = textOf(state, columns, 24);
    const said = text.join("\n").replace(/\n {2}(?=\S)/g, " ");
    assert.match(
      said,
      /^\w+: .*(?:Give that stream other subjects\.|Start one with: poolmesh manager)$/m,
      `${columns}`,
    );
    assert.ok(text.filter((line) => /^[●✖]/u.test(line)).length >= 5, `${columns}`);
  }
});

test("renderScreen - columns stand under their titles at every width", () => {
  const state = stateOf(mesh());
  for (const columns of [50, 70, 80, 100, 132, 200]) {
    const [head = "", row = ""] = textOf(state, columns, 40).filter((line) => /STATE|adder-1 /.test(line));
    assert.equal(row.indexOf("adder-1"), head.indexOf("WORKER"), `${columns}`);
    const end = head.indexOf("BUSY") + 4;
    assert.match(row.slice(0, end), /\d+\/4$/, `${columns}`);
  }
});

test("renderScreen - shows lost workers first and counts what does not fit", () => {
  const fleet = mesh();
  const lost = fleet.find("render-33")?.heartbeat;
  assert.ok(lost);
  lost.state = WorkerState.LOST;
  const text = textOf(stateOf(fleet), 120, 24);
  const head = text.findIndex((line) => line.includes("WORKER "));
  assert.match(text[head + 1] ?? "", /✕ lost {6}render-33/);
  const shown = text.slice(head + 1, -1).length;
  assert.equal(text.at(-1), `… ${43 - shown} more workers`);
});

test("renderScreen - the hottest pool comes first, and says what is wrong in every width", () => {
  const fleet = new FakeFleet([
    { name: "calm", workers: 2, slots: 4, load: 0.9 },
    { name: "busy", workers: 2, slots: 4, load: 1.4 },
    { name: "broken", workers: 2, slots: 4, load: 0.1 },
    { name: "lonely", workers: 2, slots: 4, load: 0.1 },
    { name: "taken", workers: 2, slots: 4, load: 0.1 },
  ]);
  fleet.trouble.set("broken", { ended: 50, failed: 50 });
  fleet.trouble.set("lonely", { managers: 0 });
  fleet.trouble.set("taken", { streams: ["AUDIT"] });
  for (let i = 0; i < 40; i += 1) fleet.step();
  const state = stateOf(fleet);
  for (const columns of [50, 70, 80, 120]) {
    const lines = textOf(state, columns, 40);
    const head = lines.findIndex((line) => line.startsWith("POOL"));
    const pools = lines.slice(head + 2, head + 7);
    assert.match(
      pools.slice(0, 3).sort().join("\n"),
      /^! broken.*100 % fail[\s\S]*! lonely.*no manager[\s\S]*! taken.*stream/,
    );
    assert.match(pools[3] ?? "", /^busy .*saturated/);
    assert.match(pools[4] ?? "", /^calm /);
    assert.match(lines.join("\n"), /broken: 50 of 50 jobs/);
    for (const line of lines) assert.ok([...line].length <= columns);
  }
});

test("renderScreen - pools stay in their places for five seconds", () => {
  const fleet = mesh();
  const order = new PoolOrder();
  const shown = (nowMs: number) =>
    renderScreen({ ...stateOf(fleet), order }, { columns: 100, rows: 40 }, nowMs)
      .map((line) => paintLine(line, false))
      .filter((line) => /^!? ?(adder|render) /.test(line))
      .map((line) => line.replace("! ", "").split(" ")[0])
      .slice(0, 2);
  assert.deepEqual(shown(0), ["render", "adder"]);
  fleet.trouble.set("adder", { ended: 9, failed: 9 });
  assert.deepEqual(shown(4_000), ["render", "adder"]);
  assert.deepEqual(shown(6_000), ["adder", "render"]);
});

test("renderScreen - workers of several pools are shown with their pools, from 60 columns on", () => {
  const several = stateOf(mesh());
  for (const columns of [60, 80, 120, 200]) {
    const [head = "", row = ""] = textOf(several, columns, 60).filter((line) => /STATE|adder-1 /.test(line));
    assert.equal(row.lastIndexOf("adder "), head.indexOf("POOL"), `${columns}`);
  }
  assert.doesNotMatch(textOf(stateOf(mesh(), "adder"), 120, 40).find((line) => line.includes("STATE")) ?? "", /POOL/);
});

test("renderScreen - on a wide terminal the longest names are whole", () => {
  const long = "p".repeat(63);
  const fleet = new FakeFleet([
    { name: long, workers: 0, slots: 4, load: 0.4 },
    { name: "adder", workers: 1, slots: 4, load: 0.4 },
  ]);
  fleet.add(long, "w".repeat(63), 4);
  fleet.trouble.set(long, { managers: 0 });
  const text = textOf(stateOf(fleet), 300, 40).join("\n");
  assert.match(text, new RegExp(`^! ${long} `, "m"));
  assert.match(text, new RegExp(` ${"w".repeat(63)}  ${long} `));
});

test("renderScreen - narrows workers to the chosen pool", () => {
  const text = textOf(stateOf(mesh(), "adder"), 120, 40).join("\n");
  assert.match(text, /adder-1/);
  assert.doesNotMatch(text, /render-1 /);
});

test("renderScreen - an empty mesh says how to start a worker", () => {
  assert.match(textOf(stateOf(new FakeFleet([])), 100, 24).join("\n"), /poolmesh worker --pool/);
});

test("renderScreen - before anything was heard it says so", () => {
  const state = { url: "http://x", pool: "", capacity: undefined, workers: undefined };
  assert.match(textOf(state, 80, 24).join("\n"), /connecting[\s\S]*Listening/);
});

test("renderScreen - no escape sequence of a stranger reaches the terminal", () => {
  const fleet = mesh();
  fleet.add("adder", "evil\u001b[2J\u0007", 4, "host\u001b]0;title\u0007\r\n");
  for (const line of textOf(stateOf(fleet), 200, 100)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(line, /[\u0000-\u001f]/);
  }
});

test("paintLine - colour adds no column, and none is added without it", () => {
  const line = [span("ab", "coral"), span("cd")];
  assert.equal(paintLine(line, true), "\u001b[31mab\u001b[0mcd");
  assert.equal(paintLine(line, false), "abcd");
  assert.equal(lineWidth(clipLine(line, 3)), 3);
});

test("fit - gives exactly the columns that were asked for", () => {
  assert.deepEqual(
    [fit("abc", 5), fit("abc", 5, "right"), fit("abcdef", 4), fit("abc", 0)],
    ["abc  ", "  abc", "abc…", ""],
  );
});

test("levelBar and slotCells - take the width they were given", () => {
  for (const share of [-1, 0, 0.03, 0.5, 0.999, 1, 2]) {
    assert.equal([...levelBar(share, 12).join("")].length, 12);
  }
  assert.deepEqual(slotCells(3, 4, 16), ["■■■", "□"]);
  assert.equal([...slotCells(50, 100, 16).join("")].length, 16);
});

test("snapshotJson - is one line with the words of the protocol", () => {
  const text = snapshotJson(stateOf(mesh(), "adder"), 0);
  assert.doesNotMatch(text, /\n/);
  const snapshot = JSON.parse(text);
  assert.equal(snapshot.at, "1970-01-01T00:00:00.000Z");
  assert.equal(snapshot.connection, "live");
  assert.equal(snapshot.workers.length, 3);
  assert.equal(snapshot.workers[0].heartbeat.state, "WORKER_STATE_READY");
  assert.equal(snapshot.pools.length, 2);
});
