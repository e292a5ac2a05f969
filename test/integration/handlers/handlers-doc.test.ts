/** docs/handlers.md: its snippets compile under tsc --strict, its commands and variables are those of the program. */
import assert from "node:assert/strict";
import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { flagName } from "../../../mesh/process/config.js";
import { OPTIONS } from "../../../mesh/process/options.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { run } from "../../support/process.js";

const ROOT = new URL("../../../", import.meta.url).pathname;
const doc = readFileSync(join(ROOT, "docs/handlers.md"), "utf8");
const snippets = [...doc.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");

test("handlers doc - every snippet compiles under tsc --strict", async (t) => {
  assert.ok(snippets.length >= 4);
  const folder = new HandlerFolder(t);
  snippets.forEach((text, i) => void folder.write(`snippet-${i}.ts`, text));
  folder.write("package.json", '{ "type": "module" }');
  symlinkSync(join(ROOT, "node_modules"), join(folder.path, "node_modules"));
  const compilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, target: "ES2022", types: ["node"] },
    ...{ module: "NodeNext", lib: ["ES2023", "DOM", "DOM.Iterable"], paths: { poolmesh: [join(ROOT, "index.ts")] } },
  };
  folder.write("tsconfig.json", JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { code, stdout } = await run(t, process.execPath, [tsc, "-p", folder.path], { limitMs: 60_000 });
  assert.equal(code, 0, stdout);
});

test("handlers doc - every flag that it names exists", () => {
  const known = new Set([...Object.keys(OPTIONS).map(flagName), "--init"]);
  const named = new Set([...doc.matchAll(/`[^`]*?(--[a-z][a-z-]+)/g)].map((match) => match[1] ?? ""));
  assert.ok(named.size > 5);
  assert.deepEqual(
    [...named].filter((flag) => !known.has(flag)),
    [],
  );
});
