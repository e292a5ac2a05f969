/** The arithmetic, the tables and the charts of the benchmark. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { readArguments } from "../../../bench/harness/arguments.js";
import type { Comparison } from "../../../bench/harness/figures/comparison.js";
import { formatFigure, markdownTable } from "../../../bench/harness/figures/numbers.js";
import { figure, percentile, ratio } from "../../../bench/harness/figures/stats.js";
import { makeTrace, waitsOf } from "../../../bench/harness/loops/replay.js";
import { chartSvg } from "../../../bench/harness/report/chart.js";
import { withEarlier } from "../../../bench/harness/report/results.js";
import { SUMMARY_BEGIN, SUMMARY_END, summaryTable, withSummary } from "../../../bench/harness/report/summary.js";
import { comparisonCells } from "../../../bench/harness/report/tables.js";

const comparison: Comparison = {
  id: "x",
  title: "A < B & C",
  unit: "jobs/s",
  better: "higher",
  conditions: ["one", "two"],
  series: [
    { arm: "base", figures: [figure([100, 200, 300]), figure([10])] },
    { arm: "Poolmesh", figures: [figure([150, 100, 600]), null] },
  ],
  against: "base",
  doesNotShow: "anything",
};

describe("benchmark figures", () => {
  test("a figure is the median of its rounds with minimum and maximum, of an even number the mean of the middle two", () => {
    assert.deepEqual(figure([3, 1, 2]), { median: 2, min: 1, max: 3, rounds: [3, 1, 2] });
    assert.equal(figure([4, 1, 2, 3]).median, 2.5);
    assert.equal(formatFigure(figure([1_200, 2_400, 1_000])), "1,200 (1,000 to 2,400)");
  });

  test("a ratio is taken round by round, not of medians", () => {
    assert.deepEqual(ratio(figure([150, 100, 600]), figure([100, 200, 300])).rounds, [1.5, 0.5, 2]);
    assert.equal(ratio(figure([150, 100, 600]), figure([100, 200, 300])).median, 1.5);
  });

  test("a percentile is one of the samples", () => {
    const samples = Array.from({ length: 100 }, (_, i) => 99 - i);
    assert.deepEqual([percentile(samples, 0.5), percentile(samples, 0.99), percentile(samples, 1)], [50, 99, 99]);
  });
});

describe("the ideal central queue", () => {
  test("it starts each job in the order of arrival at the slot that is free first", () => {
    const runs = [
      { index: 0, startedAt: 0, endedAt: 10 },
      { index: 1, startedAt: 10, endedAt: 12 },
      { index: 2, startedAt: 20, endedAt: 25 },
    ];
    assert.deepEqual(waitsOf([0, 1, 2], runs, 2), { waits: [0, 9, 18], ideal: [0, 0, 1] });
  });

  test("a job that was lost or ran twice is an error, not a figure", () => {
    const run = { index: 0, startedAt: 0, endedAt: 1 };
    assert.throws(() => waitsOf([0, 1], [run], 1), /2 jobs were submitted, 1 ran, 0 twice/);
    assert.throws(() => waitsOf([0], [run, run], 1), /1 jobs were submitted, 1 ran, 1 twice/);
  });

  test("a trace comes again with its seed, at the load that was asked for", () => {
    const options = { jobs: 20_000, slots: 8, load: 0.85, seed: 1 };
    const trace = makeTrace(options);
    assert.deepEqual(makeTrace(options), trace);
    const work = trace.reduce((sum, { serviceMs }) => sum + serviceMs, 0);
    assert.ok(Math.abs(work / (8 * (trace.at(-1)?.atMs ?? 0)) - 0.85) < 0.03);
  });

  test("a log-normal trace has the mean and the spread that it says, at the load that was asked for", () => {
    const trace = makeTrace({ jobs: 200_000, slots: 8, load: 0.85, seed: 1, mix: "logNormal" });
    const lengths = trace.map(({ serviceMs }) => serviceMs);
    const mean = lengths.reduce((sum, ms) => sum + ms, 0) / lengths.length;
    assert.ok(Math.abs(mean / 20 - 1) < 0.03, `mean ${mean}`);
    const [median, high] = [percentile(lengths, 0.5), percentile(lengths, 0.8413)];
    assert.ok(Math.abs(Math.log(high / median) / 1.1 - 1) < 0.03, "one standard deviation above the median");
    assert.ok(Math.abs((mean * lengths.length) / (8 * (trace.at(-1)?.atMs ?? 0)) - 0.85) < 0.03);
  });
});

describe("benchmark tables and charts", () => {
  test("a table has a ratio beside each figure, and a dash where nothing was measured", () => {
    assert.deepEqual(comparisonCells(comparison)[2], ["Poolmesh", "150 (100 to 600)", "1.50", "–", "–"]);
    assert.deepEqual(comparisonCells({ ...comparison, ratiosAt: ["two"] })[0], ["jobs/s", "one", "two", "÷ base"]);
    assert.equal(
      markdownTable([
        ["a", "b"],
        ["1", "2"],
      ]),
      "| a | b |\n| --- | ---: |\n| 1 | 2 |",
    );
  });

  test("a chart escapes its words, has a bar for each figure and colors for a dark page", () => {
    const svg = chartSvg(comparison);
    assert.match(svg, /<title>A &lt; B &amp; C<\/title>/);
    assert.equal(svg.match(/class="bar/g)?.length, 3);
    assert.match(svg, /prefers-color-scheme: dark/);
  });
});

describe("benchmark arguments", () => {
  test("rows and rounds are numbers; a run of some rows and a quick one write nothing", () => {
    assert.deepEqual(readArguments([], 8), { rows: [], rounds: 5, quick: false, write: true });
    assert.deepEqual(readArguments(["--rows", "1,2"], 8), { rows: [1, 2], rounds: 5, quick: false, write: false });
    assert.deepEqual(readArguments(["--rows=1", "--update"], 8), { rows: [1], rounds: 5, quick: false, write: true });
    assert.deepEqual(readArguments(["--quick"], 8), { rows: [], rounds: 1, quick: true, write: false });
    for (const rounds of ["0", "-1", "x", "1.5"])
      assert.throws(() => readArguments([`--rounds=${rounds}`], 8), /--rounds/);
    assert.throws(() => readArguments(["--rows=9"], 8), /--rows: use whole numbers from 1 to 8, not "9"/);
    assert.throws(() => readArguments(["--fast"], 8), /--fast/);
  });
});

describe("benchmark results", () => {
  test("rows that a run did not measure stay, with what is known of when they were measured", () => {
    const row = (number: number, title: string) => ({ row: number, title, comparisons: [], targets: [] });
    const machine = { date: "2026-01-01", loadBefore: 3, processor: "P" } as Parameters<
      typeof withEarlier
    >[0]["machine"];
    const earlier = { machine, rounds: 5, rows: [row(1, "old"), row(2, "old")] };
    const run = { machine, rounds: 2, rows: [row(3, "new"), row(1, "new")] };
    const measured = { date: "2026-01-01", rounds: 5, loadBefore: 3, processor: "P" };
    assert.deepEqual(withEarlier(run, earlier).rows, [row(1, "new"), { ...row(2, "old"), measured }, row(3, "new")]);
    assert.deepEqual(withEarlier(run, undefined), run);
  });
});

describe("benchmark summary", () => {
  const waiting: Comparison = {
    ...comparison,
    id: "3-waiting-one-85",
    conditions: ["p50", "p99"],
    series: [
      { arm: "ideal central queue", figures: [figure([0]), figure([10])] },
      { arm: "Poolmesh embedded", figures: [figure([1]), figure([11])] },
      { arm: "Poolmesh Client, 1 manager", figures: [figure([2]), figure([12])] },
      { arm: "plain queue group", figures: [figure([20]), figure([1_234])] },
    ],
  };

  test("medians by column; what was not measured is a dash, what has no row and what has no figure at all is left out", () => {
    const table = summaryTable({ rows: [{ row: 3, title: "", comparisons: [waiting], targets: [] }] });
    const lines = table.trim().split("\n");
    assert.equal(lines.length, 3);
    assert.match(lines[2] as string, /^\| .*\(ideal central queue: 10\.0\) \| 12\.0 \| 11\.0 \| 1,234 \|$/);
  });

  test("it goes between the markers, and nowhere else", () => {
    const text = `a\n${SUMMARY_BEGIN}\nold\n${SUMMARY_END}\nb\n`;
    assert.equal(withSummary(text, "new\n"), `a\n${SUMMARY_BEGIN}\nnew\n${SUMMARY_END}\nb\n`);
    assert.equal(withSummary("no markers", "new"), "no markers");
  });

  test("the README shows the figures of the run that is in bench/results", () => {
    const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
    const latest = JSON.parse(read("bench/results/latest.json")) as Parameters<typeof summaryTable>[0];
    const readme = read("README.md");
    assert.ok(readme.includes(SUMMARY_BEGIN), "the README has the marker");
    assert.equal(withSummary(readme, summaryTable(latest)), readme, "run: npm run bench");
  });
});
