/** Writes what a run gave: JSON with every round, a Markdown page, a chart for each comparison, a few figures in the README. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Comparison, RowResult } from "../figures/comparison.js";
import type { Machine } from "../figures/machine.js";
import { markdownTable } from "../figures/numbers.js";
import { ROOT } from "../processes/poolmesh.js";
import { chartSvg } from "./chart.js";
import { summaryTable, withSummary } from "./summary.js";
import { comparisonCells, targetCells } from "./tables.js";

const RESULTS = join(ROOT, "bench", "results");
const DOCS = join(ROOT, "docs");
const README = join(ROOT, "README.md");
const CHARTS = "benchmarks";

/** Everything that a run gave. */
export interface Results {
  readonly machine: Machine;
  readonly rounds: number;
  readonly rows: readonly RowResult[];
}

/** Writes bench/results/latest.json, docs/benchmarks.md, docs/benchmarks/*.svg and the README's table. */
export async function writeReport(results: Results): Promise<void> {
  await mkdir(RESULTS, { recursive: true });
  await mkdir(join(DOCS, CHARTS), { recursive: true });
  await writeFile(join(RESULTS, "latest.json"), `${JSON.stringify(results, undefined, 1)}\n`);
  await writeFile(join(DOCS, "benchmarks.md"), pageText(results));
  await writeFile(README, withSummary(await readFile(README, "utf8"), summaryTable(results)));
  const comparisons = results.rows.flatMap((row) => row.comparisons).filter(hasChart);
  await Promise.all(comparisons.map((each) => writeFile(join(DOCS, CHARTS, `${each.id}.svg`), chartSvg(each))));
}

function pageText({ machine, rounds, rows }: Results): string {
  return `# Benchmarks

<!-- Written by \`npm run bench\`; changes by hand are lost. -->

Poolmesh beside its peers, in one run on one machine. Only ratios within a table mean something; the absolute
figures are this machine's. Arms take turns within every round; a figure is the median of all rounds (here ${rounds};
waits, freshness and memory: at most 3) with the minimum and maximum. Callers and workers are separate processes, Poolmesh runs compiled, and each
peer is set up as its own documentation advises. \`npm run bench\` repeats it.

${machineText(machine)}

## Targets

${markdownTable(targetCells(rows.flatMap(({ targets }) => targets)))}

${rows.map(rowText).join("\n")}`;
}

function machineText(machine: Machine): string {
  const { date, processor, cores, memoryGiB, system, loadBefore, versions } = machine;
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return markdownTable([
    ["machine", `${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}; load before the run ${loadBefore}`],
    ["date", date.slice(0, 10)],
    ["versions", list.join(", ")],
  ]);
}

function rowText({ row, title, comparisons }: RowResult): string {
  return `## ${row}. ${title}\n\n${comparisons.map(comparisonText).join("\n")}`;
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
