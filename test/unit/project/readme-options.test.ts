/** The README's table of options is what the programs really take. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { envName } from "../../../mesh/process/config.js";
import { OPTIONS } from "../../../mesh/process/options.js";
import { BEGIN, optionsTable, tableIn } from "../../../scripts/options-table.js";

const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");

test("the table has a row for every option, and for nothing else", () => {
  const rows = [...optionsTable().matchAll(/^\| `(POOLMESH_\w+)`/gm)].map(([, variable]) => variable);
  assert.deepEqual(rows, Object.keys(OPTIONS).map(envName));
});

test("the README has the table as the declarations make it", () => {
  const shown = tableIn(readme);
  assert.ok(shown !== undefined, `README.md has no ${BEGIN}`);
  assert.equal(shown, optionsTable(), "run: node --import tsx scripts/options-table.ts --write");
});
