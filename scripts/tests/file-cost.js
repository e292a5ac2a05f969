/**
 * Writes down what a test file took when its process ends: run-suite.js loads it into each.
 *
 * A line of the file that TEST_COSTS names: seconds since the process started, seconds of CPU, the test file.
 */
import { appendFileSync } from "node:fs";
import { relative } from "node:path";
import { isMainThread } from "node:worker_threads";
import { cpuSeconds } from "./cpu-seconds.js";

const [, file = ""] = process.argv;
const { TEST_COSTS } = process.env;

// Threads and forks of a test have the flags of its process.
if (TEST_COSTS !== undefined && isMainThread && /\.test\.[jt]s$/.test(file)) {
  const path = relative(process.cwd(), file);
  process.once("exit", () => {
    appendFileSync(TEST_COSTS, `${(performance.now() / 1_000).toFixed(1)} ${cpuSeconds()} ${path}\n`);
  });
}
