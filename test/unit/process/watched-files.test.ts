/** Files that come late, go, return, and are replaced in every way that an operator or a platform does it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PolicyKeeper } from "../../../mesh/auth/policy/policy-keeper.js";
import { writeTokens } from "../../../mesh/auth/policy/tokens.js";
import { WatchedFiles } from "../../../mesh/process/files/watched-files.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { eventually } from "../../support/wait.js";

leakGuard();

function folderOf(t: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), "poolmesh-watched-"));
  cleanUp(t, () => rmSync(folder, { recursive: true }));
  return folder;
}

/** Follows one file; what it says now, or undefined when it is not there. */
function follow(t: Owner, path: string): () => string | undefined {
  let text: string | undefined;
  const readIt = (): void => {
    try {
      text = watch.readAll((read) => read(path));
    } catch {
      text = undefined;
    }
  };
  const watch = new WatchedFiles(readIt, 5);
  readIt();
  watch.start();
  cleanUp(t, () => watch.stop());
  return () => text;
}

const CHANGES: Readonly<Record<string, (path: string, folder: string) => void>> = {
  "is written in place": (path) => writeFileSync(path, "new"),
  "is replaced by a rename": (path, folder) => {
    writeFileSync(join(folder, "fresh"), "new");
    renameSync(join(folder, "fresh"), path);
  },
  "becomes a symbolic link": (path, folder) => {
    writeFileSync(join(folder, "elsewhere"), "new");
    rmSync(path);
    symlinkSync("elsewhere", path);
  },
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`a watched file that ${what} is read again`, async (t) => {
    const folder = folderOf(t);
    const path = join(folder, "file");
    writeFileSync(path, "old");
    const said = follow(t, path);
    assert.equal(said(), "old");
    change(path, folder);
    await eventually(() => said() === "new");
  });
}

test("a watched file that was not there is read when it comes, and again when it goes and returns", async (t) => {
  const path = join(folderOf(t), "file");
  const said = follow(t, path);
  for (const text of ["first", "second"]) {
    assert.equal(said(), undefined);
    writeFileSync(path, text);
    await eventually(() => said() === text);
    rmSync(path);
    await eventually(() => said() === undefined);
  }
});

test("a mounted secret whose folder is swapped behind its links is read again", async (t) => {
  const folder = folderOf(t);
  // As Kubernetes mounts one: file -> ..data/file, ..data -> ..VERSION, and a rename replaces ..data.
  const publish = (version: string): void => {
    mkdirSync(join(folder, `..${version}`));
    writeFileSync(join(folder, `..${version}`, "file"), version);
    symlinkSync(`..${version}`, join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  };
  publish("v1");
  symlinkSync("..data/file", join(folder, "file"));
  const said = follow(t, join(folder, "file"));
  assert.equal(said(), "v1");
  for (const version of ["v2", "v3"]) {
    publish(version);
    await eventually(() => said() === version);
  }
});

test("a tokens file that the policy names and that comes later counts as soon as it is there", async (t) => {
  const folder = folderOf(t);
  const policy = join(folder, "policy.json");
  writeFileSync(policy, "{}");
  const { log, named } = readableLog();
  const keeper = new PolicyKeeper(policy, log, 5);
  keeper.start();
  cleanUp(t, () => keeper.stop());
  writeFileSync(policy, '{ "tokens": "late/tokens.json" }');
  await eventually(() => named("the policy is wrong; the one before it stays in force").length === 1);
  mkdirSync(join(folder, "late"));
  const sha256 = "a".repeat(64);
  writeFileSync(
    join(folder, "late", "tokens.json"),
    writeTokens([{ name: "ci", sha256, role: "viewer", pools: ["*"] }]),
  );
  await eventually(() => keeper.now.tokens.has(sha256));
});
