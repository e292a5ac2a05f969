/** The durable lane as a newcomer meets it: the commands of the documents, and kill -9 of everything in between. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { findCli } from "../../../broker/find.js";
import { snippetsOf, stepsOf } from "../../support/docs/snippets.js";
import { runStep } from "../../support/docs/transcript.js";
import { leakGuard } from "../../support/leak-guard.js";
import { CLI as START } from "../../support/process.js";
import { without } from "../../support/tools.js";
import { scratchFolder, startUp } from "../../support/up.js";

leakGuard();

const HANDLER = "export const run = (job: { payload: number }): number => job.payload + 1;\n";
const CLI = [process.execPath, ...START]
  .map((word) => `"${word.startsWith("cli/") || word.startsWith("dist/") ? resolve(word) : word}"`)
  .join(" ");

/** The commands of a document that this test runs: those that enqueue, and the `up` before them. */
function shown(file: string): ReturnType<typeof stepsOf> {
  return snippetsOf(file, readFileSync(file, "utf8"))
    .filter(({ code }) => / enqueue |\.enqueue |--durable --store/.test(code))
    .filter(({ language }) => language === "sh" || language === "console")
    .flatMap(stepsOf);
}

test("durable - the commands of README.md and docs/durable.md work, and what was stored survives kill -9 of everything", async (t) => {
  const folder = await scratchFolder(t);
  await writeFile(join(folder, "adder.ts"), HANDLER);
  const steps = [...shown("README.md"), ...shown("docs/durable.md")];
  const [up] = steps.filter(({ command }) => command.includes("poolmesh up "));
  assert.equal(up?.command, "npx poolmesh up --pool adder --handler adder.ts --durable --store-dir ./store");
  const args = [
    ...["--pool", "adder", "--handler", join(folder, "adder.ts"), "--durable", "--store-dir", join(folder, "store")],
    ...["--manager-listen", "127.0.0.1:0", "--meter-listen", "127.0.0.1:0"],
  ];
  const first = await startUp(t, args);
  const nats = await findCli();
  const PATH = [process.env.PATH ?? "", ...(nats === undefined ? [] : [dirname(nats.path)])].join(":");
  const run = steps.filter((step) => step !== up && !step.command.includes("poolmesh up "));
  assert.ok(run.length >= 4);
  for (const step of run) {
    if (step.command.startsWith("nats ") && without("nats") !== false) continue;
    await runStep(t, { ...step, command: step.command.replace("npx poolmesh", CLI) }, { ...first.env, PATH });
  }
  for (const pid of first.pids) process.kill(pid, "SIGKILL");
  await first.process.exit();

  const second = await startUp(t, args);
  const kept = await second.run(["enqueue", "adder", "41", "--id", "invoice-7", "--wait", "--json"]);
  assert.match(kept.stdout, /"result":(42|2),/, "the outcome of before");
  assert.equal((await second.run(["enqueue", "adder", "1", "--wait"])).stdout, "2");
  assert.equal((await second.process.stop()).code, 0);
});
