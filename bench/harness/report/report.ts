/** Writes what a run gave: JSON with every round, a Markdown page, a chart for each comparison, a few figures in the README. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Circumstances, Comparison, RowResult } from "../figures/comparison.js";
import type { Machine } from "../figures/machine.js";
import { markdownTable } from "../figures/numbers.js";
import { ROOT } from "../processes/poolmesh.js";
import { chartSvg } from "./chart.js";
import { type Results, withEarlier } from "./results.js";
import { summaryTable, withSummary } from "./summary.js";
import { comparisonCells, targetCells } from "./tables.js";

const RESULTS = join(ROOT, "bench", "results");
const DOCS = join(ROOT, "docs");
const README = join(ROOT, "README.md");
const CHARTS = "benchmarks";

/**
 * Writes bench/results/latest.json, docs/benchmarks.md, docs/benchmarks/*.svg and the README's table. Rows that this run
 * did not measure stay as they are.
 */
export async function writeReport(run: Results): Promise<void> {
  await mkdir(RESULTS, { recursive: true });
  await mkdir(join(DOCS, CHARTS), { recursive: true });
  const file = join(RESULTS, "latest.json");
  const results = withEarlier(run, await readFile(file, "utf8").then((text) => JSON.parse(text) as Results, noResults));
  await writeFile(file, `${JSON.stringify(results, undefined, 1)}\n`);
  await writeFile(join(DOCS, "benchmarks.md"), pageText(results));
  await writeFile(README, withSummary(await readFile(README, "utf8"), summaryTable(results)));
  const comparisons = results.rows.flatMap((row) => row.comparisons).filter(hasChart);
  await Promise.all(comparisons.map((each) => writeFile(join(DOCS, CHARTS, `${each.id}.svg`), chartSvg(each))));
}

function noResults(): undefined {
  return undefined;
}

function pageText({ machine, rows }: Results): string {
  const rounds = Math.max(...rows.map(({ measured }) => measured?.rounds ?? 0));
  return `# Benchmarks

<!-- Written by \`npm run bench\`; changes by hand are lost. -->

Poolmesh beside its peers, each row in one run on one machine. Only ratios within a table mean something; the absolute
figures are this machine's. Arms take turns within every round; a figure is the median of all rounds (at most ${rounds}; waits,
freshness and memory: at most 3) with the minimum and maximum. Callers and workers are separate processes, Poolmesh runs compiled, and each
peer is set up as its own documentation advises. \`npm run bench\` repeats it.

${machineText(machine)}

## Targets

${markdownTable(targetCells(rows.flatMap(({ targets }) => targets)))}

${rows.map(rowText).join("\n")}`;
}

function machineText(machine: Machine): string {
  const { date, processor, cores, memoryGiB, system, versions } = machine;
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return markdownTable([
    ["machine of the last run", `${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}`],
    ["date", date.slice(0, 10)],
    ["versions", list.join(", ")],
  ]);
}

function rowText({ row, title, comparisons, measured }: RowResult): string {
  return `## ${row}. ${title}\n\n${measured === undefined ? "" : measuredText(measured)}${comparisons.map(comparisonText).join("\n")}`;
}

function measuredText({ date, rounds, loadBefore, processor }: Circumstances): string {
  return `Measured on ${date.slice(0, 10)} in ${rounds} rounds on an ${processor}; the machine's load before it was ${loadBefore}.\n\n`;
}

function comparisonText(comparison: Comparison): string {
  const { id, title, doesNotShow } = comparison;
  const chart = hasChart(comparison) ? `![${title}](${CHARTS}/${id}.svg)\n\n` : "";
  const table = markdownTable(comparisonCells(comparison));
  return `### ${title}\n\n${chart}${table}\n\nNot shown: ${doesNotShow}\n`;
}

function hasChart({ chart }: Comparison): boolean {
  return chart !== false;
}
