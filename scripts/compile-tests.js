/**
 * Compiles the tests and the sources to build/, so that no test process has to: that takes most of the time in
 * which a test file starts. Beside each compiled file lies its source, for tests that start or read one.
 *
 * Prints the folder. Compiled files have other line numbers than their sources; a file that is run by itself
 * (node --import tsx --test FILE) has those of the source.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const TARGET = join(ROOT, "build");
const LEFT_OUT = new Set([".git", "build"]);
/** What is compiled; the other folders are links. */
const COMPILED = [
  "bench",
  "broker",
  "browser",
  "cli",
  "client",
  "examples",
  "gen",
  "mesh",
  "scripts",
  "services",
  "test",
  "testing",
];

rmSync(TARGET, { recursive: true, force: true });
mkdirSync(TARGET, { recursive: true });
for (const entry of readdirSync(ROOT, { withFileTypes: true })) {
  if (LEFT_OUT.has(entry.name)) continue;
  const [from, to] = [join(ROOT, entry.name), join(TARGET, entry.name)];
  if (entry.isDirectory() && !COMPILED.includes(entry.name)) symlinkSync(from, to);
  else cpSync(from, to, { recursive: true, filter: (path) => !/[/\\](node_modules|dist)$/.test(path) });
}
compile();
console.log(TARGET);

function compile() {
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const args = [tsc, "-p", ROOT, "--noEmit", "false", "--declaration", "false", "--rootDir", ROOT, "--outDir", TARGET];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  if (status === 0) return;
  console.error(`the tests do not compile\n${stdout.trim()}`);
  process.exit(1);
}
