/**
 * The benchmark: Poolmesh and its peers, side by side in one run.
 *
 * `npm run bench -- --help` tells how to use it.
 */
import { type Arguments, HELP, readArguments } from "./harness/arguments.js";
import type { RowResult } from "./harness/figures/comparison.js";
import { describeMachine, loadNow } from "./harness/figures/machine.js";
import { formatTable } from "./harness/figures/numbers.js";
import { Servers } from "./harness/processes/servers.js";
import { writeReport } from "./harness/report/report.js";
import { comparisonCells, targetCells } from "./harness/report/tables.js";
import { type Row, Run } from "./harness/run.js";
import { ROWS } from "./rows/rows.js";

const options = understand(process.argv.slice(2));
const startedAt = performance.now();
const seconds = (): string => ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(5);
const say = (line: string): void => console.error(`${seconds()} s  ${line}`);

const machine = await describeMachine();
const servers = new Servers();
const results: RowResult[] = [];
const failed: number[] = [];
const run = new Run(servers, options, say);
try {
  for (const row of ROWS.filter(({ number }) => options.rows.length === 0 || options.rows.includes(number))) {
    try {
      results.push(await measureRow(row, run));
    } catch (error) {
      say(`row ${row.number} failed: ${(error as Error).stack}`);
      failed.push(row.number);
      continue;
    }
    // after each row: a run that is ended keeps what it has measured
    if (options.write) await writeReport({ machine, rounds: options.rounds, rows: results });
  }
} finally {
  await run.stop();
  await servers.stop();
}
const missed = results.flatMap(({ targets }) => targets).filter(({ met }) => !met);
console.log(`${results.length} rows in ${seconds().trim()} s; targets missed: ${missed.length}`);
if (failed.length > 0) {
  console.error(`bench: rows that failed, so that their last figures stay: ${failed.join(", ")}`);
  process.exitCode = 1;
}

async function measureRow(row: Row, run: Run): Promise<RowResult> {
  const { number, title } = row;
  say(`row ${number}: ${title}`);
  const { processor } = machine;
  const measured = { date: new Date().toISOString(), rounds: options.rounds, loadBefore: loadNow(), processor };
  const result = { row: number, title, measured, ...(await row.measure(run)) };
  for (const comparison of result.comparisons) {
    console.log(`\n${number}. ${comparison.title}\n${formatTable(comparisonCells(comparison))}`);
  }
  if (result.targets.length > 0) console.log(`\n${formatTable(targetCells(result.targets))}`);
  return result;
}

function understand(args: readonly string[]): Arguments {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP);
    process.exit(0);
  }
  try {
    return readArguments(args, ROWS.length);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}
