/** How large a file and a folder may be, so that each has one idea. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../../mesh/process/identity.js";

const PARTS = ["bench", "broker", "browser", "cli", "client", "mesh", "scripts", "services", "test", "testing"];
const MOST_LINES = 400;
const MOST_FILES = 15;

interface Folder {
  readonly path: string;
  /** Sources in it; data is not counted. */
  readonly sources: readonly string[];
}

function foldersOf(path: string): Folder[] {
  const entries = readdirSync(join(packageRoot(), path), { withFileTypes: true });
  const sources = entries.filter((entry) => entry.isFile() && /\.(ts|js|css|html)$/.test(entry.name));
  const folders = entries.filter((entry) => entry.isDirectory() && !["node_modules", "dist"].includes(entry.name));
  return [
    { path, sources: sources.map(({ name }) => name) },
    ...folders.flatMap(({ name }) => foldersOf(join(path, name))),
  ];
}

const folders = PARTS.flatMap(foldersOf);

test("no file of the product has more than 400 lines", () => {
  const long = folders
    .filter(({ path }) => !path.startsWith("test"))
    .flatMap(({ path, sources }) => sources.map((name) => join(path, name)))
    .map((file) => [file, readFileSync(join(packageRoot(), file), "utf8").split("\n").length - 1] as const)
    .filter(([, lines]) => lines > MOST_LINES);
  assert.deepEqual(long, []);
});

test("no folder has more than fifteen files", () => {
  const full = folders.filter(({ sources }) => sources.length > MOST_FILES);
  assert.deepEqual(
    full.map(({ path, sources }) => `${path}: ${sources.length}`),
    [],
  );
});
