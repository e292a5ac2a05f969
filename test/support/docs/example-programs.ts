/**
 * The example programs in other languages, made ready to run: Go binaries and a
 * Python environment, built once into the project's cache.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Owner } from "../clean-up.js";
import { run } from "../process.js";
import { toolPath } from "../tools.js";

/** Go commands run where the module is. */
const GO_FOLDER = resolve("examples/go");
const CACHE = resolve(".cache");
const REQUIREMENTS = resolve("examples/python/requirements.txt");
/** The first build compiles gRPC; the first environment downloads it. */
const BUILD_LIMIT_MS = 300_000;

/** The path of `examples/go/cmd/NAME`, built. */
export async function goProgram(t: Owner, name: string): Promise<string> {
  return goBuild(t, `./cmd/${name}`, name);
}

/** Builds a Go package or file of the examples' module; the path of the program. */
export async function goBuild(t: Owner, source: string, name: string): Promise<string> {
  const program = join(CACHE, "go", name);
  await mustRun(t, toolPath("go"), ["build", "-o", program, source], GO_FOLDER);
  return program;
}

/** The environment that is being made: tests of one file may want it at once. */
let making: Promise<string> | undefined;

/** The Python interpreter that has what the examples need; made once for each content of requirements.txt. */
export function examplePython(t: Owner): Promise<string> {
  making ??= makePython(t).finally(() => {
    making = undefined;
  });
  return making;
}

async function makePython(t: Owner): Promise<string> {
  const wanted = createHash("sha256")
    .update(await readFile(REQUIREMENTS))
    .digest("hex")
    .slice(0, 12);
  const folder = join(CACHE, "venv", wanted);
  const python = join(folder, "bin", "python");
  if (existsSync(python)) return python;
  await mkdir(join(CACHE, "venv"), { recursive: true });
  // Made aside and moved into place whole, since several test files may want it at once.
  const aside = `${folder}.${process.pid}`;
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS];
  await mustRun(t, toolPath("python3"), ["-m", "venv", aside]);
  await mustRun(t, join(aside, "bin", "python"), pip);
  await rename(aside, folder).catch(() => rm(aside, { recursive: true }));
  return python;
}

async function mustRun(t: Owner, command: string, args: readonly string[], cwd = "."): Promise<void> {
  const { code, stderr } = await run(t, command, args, { cwd, limitMs: BUILD_LIMIT_MS });
  assert.equal(code, 0, stderr);
}
