/**
 * Every command and code sample of README.md and docs/ works with the packed package.
 *
 * The README is followed as a newcomer does: an empty folder, its install line,
 * its files, its commands. So are docs/getting-started.md and docs/migration/, in the same project.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { compileStrictly, packTarball, STEP_LIMIT_MS } from "../../support/docs/packed.js";
import {
  atMesh,
  direct,
  ENTRY,
  OWN_TEST_RUNNER,
  placeOf,
  poolmesh,
  type ReaderMesh,
  runShown,
  startReaderMesh,
} from "../../support/docs/reader.js";
import { nameOf, snippetsOf, stepsOf } from "../../support/docs/snippets.js";
import { WALKED, Walkthrough } from "../../support/docs/walkthrough.js";
import { leakGuard } from "../../support/leak-guard.js";
import { run, startProcess } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";

leakGuard();

/** Blocks in these languages that other tests run: the language's first block of the file. */
const RUN_ELSEWHERE: Readonly<Record<string, string>> = {
  "docs/protocol.md go": "test/e2e/project/docs-protocol.test.ts",
  "docs/protocol.md python": "test/e2e/project/docs-protocol.test.ts",
};
/** Packages that samples import besides Poolmesh. */
const OF_THE_READER = ["zod"];
const DRAWING = "text";
/** Documents that are followed from their first block to their last, in this order, in the mesh that the first one starts. */
const WALKTHROUGHS = /^docs\/(getting-started\.md|migration\/)/;

const files = [
  "README.md",
  ...readdirSync("docs", { recursive: true, encoding: "utf8" }).map((name) => `docs/${name}`),
];
const snippets = files
  .filter((file) => file.endsWith(".md"))
  .flatMap((file) => snippetsOf(file, readFileSync(file, "utf8")));
const live = snippets.filter(({ notRun, language }) => notRun === undefined && language !== DRAWING);
const walked = live.filter(({ file }) => WALKTHROUGHS.test(file));
const samples = live.filter(({ language }) => language === "ts");
const commands = live.filter(({ language }) => language === "sh" || language === "console");
const steps = commands
  .filter((each) => !walked.includes(each))
  .flatMap((snippet) => stepsOf(snippet).map((step) => ({ ...step, snippet })));

const project = await scratchFolder(WHOLE_FILE);

test("every block of README.md and docs/ is run, compiled, or says why not", (t) => {
  const counted = new Map<string, number>();
  for (const snippet of snippets) {
    if (snippet.notRun !== undefined) t.diagnostic(`not run: ${placeOf(snippet)}: ${snippet.notRun}`);
    if (snippet.notRun !== undefined || snippet.language === DRAWING) continue;
    if (samples.includes(snippet) || commands.includes(snippet)) continue;
    if (walked.includes(snippet) && WALKED.includes(snippet.language)) continue;
    const kind = `${snippet.file} ${snippet.language}`;
    counted.set(kind, (counted.get(kind) ?? 0) + 1);
    assert.ok(RUN_ELSEWHERE[kind], `${placeOf(snippet)} is in no language that is run`);
    assert.equal(counted.get(kind), 1, `${placeOf(snippet)}: only the first block of its language is run`);
  }
  for (const snippet of samples) assert.ok(nameOf(snippet), `${placeOf(snippet)} does not begin with // NAME.ts`);
});

test("the commands of the README work as they are, in an empty folder with the packed package", async (t) => {
  const { path: tarball } = await packTarball(t, { built: true });
  for (const sample of samples) await writeFile(join(project, nameOf(sample) ?? ""), sample.code);
  const rest = steps.filter(({ command }) => !/^npm install /.test(command));
  assert.equal(steps.length - rest.length, 1, "one install line");
  const install = (steps[0]?.command ?? "").replace("install poolmesh", `install --prefer-offline ${tarball}`);
  const installed = await run(t, "bash", ["-c", install], { cwd: project, limitMs: STEP_LIMIT_MS });
  assert.equal(installed.code, 0, installed.stderr);
  for (const name of OF_THE_READER) await symlink(resolve("node_modules", name), join(project, "node_modules", name));

  const [up] = rest.splice(
    rest.findIndex(({ command }) => command.includes("poolmesh up ")),
    1,
  );
  const mesh = await startReaderMesh(t, project, up?.command ?? "");
  let exported = "";
  for (const [at, { snippet, ...shown }] of rest.filter(({ command }) => !/poolmesh worker /.test(command)).entries()) {
    // The first one shows that npx finds the command.
    const step = at === 0 ? shown : { ...shown, command: direct(shown.command) };
    // What a line exports holds for those below it, as in the reader's own shell.
    if (step.command.startsWith("export ")) exported = `${step.command.replace(/ +#.*/, "")} && `;
    else if (!step.command.startsWith("nats ")) await runShown(t, mesh, snippet, step);
    else await runShown(t, mesh, snippet, { ...step, command: exported + step.command });
  }
  for (const { command } of rest.filter((step) => /poolmesh worker /.test(step.command))) {
    await workerServes(t, mesh, command);
  }
  await programPrints(t, mesh);
  assert.equal((await mesh.process.stop()).code, 0);
});

test("the TypeScript samples compile with tsc --strict against the packed package", async (t) => {
  await run(t, "npm", ["pkg", "set", "type=module"], { cwd: project });
  const { code, stdout } = await compileStrictly(
    t,
    project,
    samples.map((sample) => nameOf(sample) ?? ""),
    ["--noEmit"],
  );
  assert.equal(code, 0, stdout);
});

test("the tests that docs/testing.md shows pass with the packed package", async (t) => {
  const shown = samples.filter(({ file }) => file === "docs/testing.md").map((sample) => nameOf(sample) ?? "");
  assert.equal(shown.length, 2);
  const args = ["--import", "tsx", "--test", ...shown];
  const { code, stdout } = await run(t, process.execPath, args, {
    cwd: project,
    env: OWN_TEST_RUNNER,
    limitMs: STEP_LIMIT_MS,
  });
  assert.equal(code, 0, stdout);
  assert.match(stdout, / pass 5$/m);
});

test("docs/getting-started.md, and every program that docs/migration/ has after a migration, work as they are", async (t) => {
  const walkthrough = new Walkthrough(t, project);
  const followed = [...new Set(walked.map(({ file }) => file))].sort(
    (a, b) => a.split("/").length - b.split("/").length,
  );
  assert.ok(followed.length >= 5);
  for (const file of followed) await walkthrough.follow(walked.filter((each) => each.file === file));
  await walkthrough.end();
});

/** A worker that the README shows runs a job of its pool: the size of the meter's health page. */
async function workerServes(t: TestContext, mesh: ReaderMesh, command: string): Promise<void> {
  const [, ...args] = command.split(" ").slice(1);
  assert.ok(readFileSync("README.md", "utf8").includes(`node ${ENTRY} worker`), "how to start it in production");
  const child = startProcess(t, process.execPath, [ENTRY, ...args], { cwd: project, env: mesh.env });
  await child.line(/"msg":"ready"/);
  const url = `${mesh.meter}/healthz`;
  const input = JSON.stringify({ url });
  const submit = await poolmesh(t, mesh, ["submit", "page-size", input]);
  const size = (await (await fetch(url)).arrayBuffer()).byteLength;
  assert.deepEqual([submit.code, submit.stdout], [0, String(size)], submit.stderr + child.stderr);
  const refused = await poolmesh(t, mesh, ["submit", "page-size", '{"url":"no"}']);
  assert.match(refused.stderr, /job_rejected: url: not a URL/);
  assert.equal((await child.stop()).code, 0);
}

/** The program of the README prints what it says. */
async function programPrints(t: TestContext, mesh: ReaderMesh): Promise<void> {
  const program = samples.find((sample) => nameOf(sample) === "program.mts");
  const code = atMesh(mesh, program?.code ?? "");
  await writeFile(join(project, "program.mts"), code);
  const { stdout, stderr } = await run(t, process.execPath, ["--import", "tsx", "program.mts"], {
    cwd: project,
    env: mesh.env,
  });
  assert.match(stdout, /^42\n/, stderr);
  assert.match(stdout, /^0 2\n/m);
  assert.match(stderr, /^2 \w+ (true|false)\n/);
}
