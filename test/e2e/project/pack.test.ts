/** The package: what `npm pack` makes can be installed, imported with types, and run. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { EXIT } from "../../../cli/exit-codes.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import type { Owner } from "../../support/clean-up.js";
import { compileStrictly, packTarball, STEP_LIMIT_MS } from "../../support/docs/packed.js";
import { leakGuard } from "../../support/leak-guard.js";
import { run, startProcess } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";

leakGuard();
const tarball = await packTarball(WHOLE_FILE);

const USER_PROGRAM = `
import { json, Manager, PoolError, Worker, type Job } from "poolmesh";
import { watchCapacity } from "poolmesh/browser";
const worker = new Worker<number, number>({ pool: "adder", run: (job: Job<number>) => job.payload + 1 });
const manager = await Manager.connect({ pool: "adder", servers: process.env.NATS_URL ?? "" });
await manager.add(worker);
const result = await manager.submit(json.encode(41));
const answer: number = result.json<number>();
const retryable: boolean = new PoolError("pool_full", "no room").retryable;
process.stdout.write(\`\${answer} \${retryable} \${typeof watchCapacity}\\n\`);
await manager.close();
`;

const HANDLER = "export const run = (job: { payload: number }): number => job.payload + 1;\n";

const COMMONJS_PROGRAM = `
import { Client, json, type Job, Manager, PoolError, Worker } from "poolmesh";
import { watchCapacity } from "poolmesh/browser";
import testing = require("poolmesh/testing");
import poolmesh = require("poolmesh");
async function main(): Promise<void> {
  const worker: Worker<number, number> = new Worker({ pool: "common", run: (job: Job<number>) => job.payload + 1 });
  const manager = await Manager.connect("common", { servers: process.env.NATS_URL ?? "" });
  await manager.add(worker);
  const answer: number = (await manager.submit(json.encode(41))).json<number>();
  await manager.close();
  const imported = await import("poolmesh");
  const isOne = imported.PoolError === poolmesh.PoolError && poolmesh.PoolError === PoolError;
  process.stdout.write(\`\${answer} \${isOne} \${typeof Client} \${typeof watchCapacity} \${typeof testing}\\n\`);
}
void main();
// @ts-expect-error: a CommonJS program has the types, and not any
const wrong: string = new PoolError("pool_full", "no room").retryable;
`;

const NPM_FLAGS = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];

/** A project without tsx and without "type". */
const plainProject = userProject(WHOLE_FILE);

/** An empty project that has the packed package installed. */
async function userProject(t: Owner): Promise<string> {
  const project = await scratchFolder(t);
  await writeFile(join(project, "package.json"), '{"name":"user","private":true}');
  const install = await run(t, "npm", ["install", ...NPM_FLAGS, tarball.path], {
    cwd: project,
    limitMs: STEP_LIMIT_MS,
  });
  assert.equal(install.code, 0, install.stderr);
  return project;
}

test("a CommonJS project requires the package, with types under node16 and nodenext, and has the same classes as import()", async (t) => {
  const [broker, project] = [await startBroker(t), await plainProject];
  await writeFile(join(project, "user.ts"), COMMONJS_PROGRAM);
  for (const module of ["node16", "nodenext"]) {
    const types = await compileStrictly(t, project, ["user.ts"], ["--module", module]);
    assert.equal(types.code, 0, types.stdout);
  }
  assert.match(await readFile(join(project, "user.js"), "utf8"), /require\("poolmesh"\)/);
  const env = { NATS_URL: broker.url };
  const program = await run(t, process.execPath, ["user.js"], { cwd: project, env });
  assert.deepEqual([program.code, program.stdout], [0, "42 true function function object\n"], program.stderr);
});

test("without tsx a handler in JavaScript runs, and one in TypeScript is refused with what to install", async (t) => {
  const [broker, project] = [await startBroker(t), await plainProject];
  await writeFile(join(project, "adder.ts"), HANDLER);
  await writeFile(join(project, "adder.mjs"), "export const run = ({ payload }) => payload + 1;\n");
  const command = join(project, "node_modules", ".bin", "poolmesh");
  const options = { cwd: project, env: { NATS_URL: broker.url } };
  for (const isolation of ["inline", "thread", "process"]) {
    const argv = ["worker", "--pool", "adder", "--isolation", isolation, "--handler"];
    const refused = await run(t, command, [...argv, "adder.ts"], { ...options, limitMs: STEP_LIMIT_MS });
    assert.equal(refused.code, EXIT.config, isolation);
    assert.match(
      refused.stdout,
      /cannot load \\"adder\.ts\\": TypeScript needs the package tsx.*: npm install tsx/,
      isolation,
    );
    const worker = startProcess(t, command, [...argv, "adder.mjs"], options);
    await worker.line(/"msg":"ready"/);
    assert.equal((await worker.stop()).code, 0);
  }
});

test("a scratch project installs the package, imports it with types, and runs a mesh with it", async (t) => {
  const project = await scratchFolder(t);
  const packed = tarball.files;
  for (const path of [
    "dist/index.js",
    "dist/index.d.ts",
    "dist/index.d.cts",
    "dist/browser.js",
    "dist/testing.js",
    "dist/testing.d.ts",
    "dist/cli/main.js",
    "dist/page/index.html",
    "LICENSE",
  ]) {
    assert.ok(packed.includes(path), path);
  }
  assert.ok(!packed.some((path) => /^(test|bench|cli|services)\/|\.test\./.test(path)));

  await writeFile(join(project, "package.json"), '{"name":"user","private":true,"type":"module"}');
  const install = await run(t, "npm", ["install", ...NPM_FLAGS, tarball.path, "tsx"], {
    cwd: project,
    limitMs: STEP_LIMIT_MS,
  });
  assert.equal(install.code, 0, install.stderr);

  await writeFile(join(project, "user.ts"), USER_PROGRAM);
  await writeFile(join(project, "adder.ts"), HANDLER);
  const types = await compileStrictly(t, project, ["user.ts"]);
  assert.equal(types.code, 0, types.stdout);

  const help = await run(t, "npx", ["--no-install", "poolmesh", "--help"], {
    cwd: project,
    limitMs: STEP_LIMIT_MS,
  });
  assert.match(help.stdout, /^Usage: poolmesh COMMAND/);

  const command = join(project, "node_modules", ".bin", "poolmesh");
  const upArgs = ["up", "--json", "--pool", "adder", "--handler", "adder.ts"];
  const up = startProcess(t, command, upArgs, { cwd: project, env: { NATS_URL: undefined } });
  const [line] = await up.line(/^\{.*"ready":true.*$/, 60_000);
  const { nats, page } = JSON.parse(line) as { nats: string; page: string };
  assert.match(await (await fetch(page)).text(), /<html/);
  const env = { NATS_URL: nats };
  const submit = await run(t, command, ["submit", "adder", "1"], { cwd: project, env });
  assert.deepEqual([submit.code, submit.stdout], [0, "2"]);
  const program = await run(t, process.execPath, ["user.js"], { cwd: project, env });
  assert.deepEqual([program.code, program.stdout], [0, "42 true function\n"], program.stderr);
  assert.equal((await up.stop()).code, 0);
});
