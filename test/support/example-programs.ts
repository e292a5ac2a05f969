/**
 * The example programs in other languages, made ready to run: Go binaries and a
 * Python environment, built once into the project's cache.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Owner } from "./clean-up.js";
import { run } from "./process.js";
import { toolPath } from "./tools.js";

/** Where the Go module is: its directory is where Go commands run. */
export const GO_FOLDER = resolve("examples/go");
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
  const args = ["build", "-o", program, source];
  const { code, stderr } = await run(t, toolPath("go"), args, { cwd: GO_FOLDER, limitMs: BUILD_LIMIT_MS });
  assert.equal(code, 0, stderr);
  return program;
}

/** The Python interpreter that has what the examples need. */
export async function examplePython(t: Owner): Promise<string> {
  const folder = join(CACHE, "venv");
  const python = join(folder, "bin", "python");
  const stamp = join(folder, "requirements.txt");
  const wanted = await readFile(REQUIREMENTS, "utf8");
  if (existsSync(stamp) && (await readFile(stamp, "utf8")) === wanted) return python;
  await mkdir(CACHE, { recursive: true });
  for (const [command, ...args] of [
    [toolPath("python3"), "-m", "venv", folder],
    [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS],
  ] as [string, ...string[]][]) {
    const { code, stderr } = await run(t, command, args, { limitMs: BUILD_LIMIT_MS });
    assert.equal(code, 0, stderr);
  }
  await writeFile(stamp, wanted);
  return python;
}
