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
import { CLI as START, startCli } from "../../support/process.js";
import { without } from "../../support/tools.js";
import { scratchFolder, startUp } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

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

const COUNTED = `
import { appendFileSync } from "node:fs";
export const run = (job) => {
  appendFileSync(process.env.RUNS, job.payload + "\\n");
  return new Promise((resolve) => setTimeout(resolve, 4, job.payload * 2));
};
`;
const INPUTS = 600;

test("map --durable goes on by its run's name after kill -9 of everything, and runs nothing that has ended again", async (t) => {
  const folder = await scratchFolder(t, { "counted.mjs": COUNTED });
  const env = { RUNS: join(folder, "runs") };
  const args = [
    ...["--pool", "twice", "--handler", join(folder, "counted.mjs"), "--slots", "2"],
    ...["--durable", "--store-dir", join(folder, "store")],
    ...["--manager-listen", "127.0.0.1:0", "--meter-listen", "127.0.0.1:0"],
  ];
  const input = Array.from({ length: INPUTS }, (_, i) => `${i}\n`).join("");
  const map = ["map", "twice", "--durable", "november", "--window", "64"];
  const runs = (): number[] => readFileSync(env.RUNS, "utf8").trimEnd().split("\n").map(Number);

  const first = await startUp(t, args, { env });
  const cut = first.start(map, { input });
  await cut.line(/"index":\d+/, 60_000);
  await eventually(() => runs().length >= INPUTS / 3, { limitMs: 60_000, what: "a third of the inputs to have run" });
  for (const pid of [cut.pid, ...first.pids]) process.kill(pid, "SIGKILL");
  await Promise.all([cut.exit(), first.process.exit()]);
  const before = runs().length;
  assert.ok(before < INPUTS, "the kill came before the end");

  const second = await startUp(t, args, { env });
  const { code, stdout, stderr } = await second.start(map, { input }).exit(120_000);
  assert.deepEqual([code, stderr], [0, ""]);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { index: number; result: number });
  const results = lines.sort((a, b) => a.index - b.index).map(({ result }) => result);
  assert.deepEqual(
    results,
    Array.from({ length: INPUTS }, (_, i) => 2 * i),
  );
  assert.equal(new Set(runs()).size, INPUTS);
  const all = runs().length;
  const again = await second.start(map, { input }).exit(120_000);
  assert.equal(again.stdout.trimEnd().split("\n").length, INPUTS);
  assert.equal(runs().length, all, "the third run runs nothing");
  const changed = await second.start(map, { input: "0\n7\n" }).exit(60_000);
  assert.deepEqual(
    changed.stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { result: number }).result)
      .sort(),
    [0, 14],
    "an input that has changed is another job",
  );
  assert.equal((await second.process.stop()).code, 0);
});

test("map --durable refuses what it cannot keep", async (t) => {
  for (const [flag, why] of [
    ["--no-wait", /durable: stored jobs wait/],
    ["--idempotent", /durable: stored jobs are idempotent/],
    ["--url=http://127.0.0.1:1", /durable: needs the broker/],
  ] as const) {
    const { code, stderr } = await startCli(t, ["map", "p", "--durable", "r", flag], { input: "1\n" }).exit();
    assert.equal(code, 2);
    assert.match(stderr, why);
  }
});
