/** The plan of the code, measured: how many files one job passes through. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const MOST_FILES = 35;

test("a job passes through at most 35 files of manager, worker and mesh", async () => {
  const { stdout } = await promisify(execFile)("node", ["--import", "tsx", "scripts/job-path.ts", "--json"]);
  const files = JSON.parse(stdout) as string[];
  for (const file of ["services/manager/jobs/dispatcher.ts", "services/worker/jobs/intake.ts", "mesh/link/bus.ts"]) {
    assert.ok(files.includes(file), `${file} was not seen: ${files.join(", ")}`);
  }
  assert.ok(files.length <= MOST_FILES, `${files.length} files:\n${files.join("\n")}`);
});
