/**
 * Runs one suite: node [--import LOADER] scripts/tests/run-suite.js SUITE RESULTS
 *
 * The report goes to stdout. The folder RESULTS gets what scripts/test.sh prints at its end: `rows` with a line of counts
 * for each suite, `costs` with a line for each file, `failures` with a line for each test that failed. Exits with 1 when
 * one did.
 */
import { appendFileSync, existsSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { cpuSeconds } from "./cpu-seconds.js";
import { LONGEST_FIRST } from "./longest-first.js";
import { SUITES } from "./suites.js";

const COUNTS = ["tests", "pass", "fail", "cancelled", "skipped"];
const [suite, results] = process.argv.slice(2);

const files = filesOf(suite);
if (files.length > 0) await runAll(files);

/** Unit tests are imported by two files, and read the sources. Of the others each file is a process, and compiled. */
function filesOf(suite) {
  if (suite === "unit") return testsIn("test/unit", ".test.ts").filter((file) => file.split("/").length === 3);
  return longestFirst(testsIn(join("build/test", suite), ".test.js"));
}

function testsIn(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith(ending))
    .sort()
    .map((path) => join(folder, path));
}

/** Those that are known to take long, then the others by their size. */
function longestFirst(files) {
  const rank = (file) => {
    const found = LONGEST_FIRST.findIndex((long) => file === `build/test/${long}.test.js`);
    return found < 0 ? LONGEST_FIRST.length : found;
  };
  return files.sort((a, b) => rank(a) - rank(b) || statSync(b).size - statSync(a).size);
}

async function runAll(files) {
  process.env.TEST_COSTS = join(results, "costs");
  const counts = new Map();
  const events = run({ files: files.map((file) => join(process.cwd(), file)), ...SUITES[suite] });
  events.on("test:fail", ({ name, file, todo, details }) => {
    if (todo !== undefined && todo !== false) return;
    process.exitCode = 1;
    // A suite, or a file, whose own tests have failed is told by them.
    if (details.error.failureType === "subtestsFailed") return;
    appendFileSync(join(results, "failures"), `failed: ${relative(process.cwd(), file ?? "")}: ${name}\n`);
  });
  events.on("test:diagnostic", ({ nesting, message }) => {
    const [, name, count] = /^(\w+) (\d+)$/.exec(message) ?? [];
    if (nesting === 0 && name !== undefined) counts.set(name, count);
  });
  await new Promise((resolve) => events.compose(new spec()).on("end", resolve).pipe(process.stdout));
  const row = [
    suite,
    ...COUNTS.map((name) => counts.get(name) ?? "?"),
    Math.round(performance.now() / 1_000),
    cpuSeconds(),
  ];
  appendFileSync(join(results, "rows"), `${row.join(" ")}\n`);
}
