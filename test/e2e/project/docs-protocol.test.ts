/** docs/protocol.md holds: its tables are the code's, and its two small workers work. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { CATALOGUE } from "../../../mesh/errors.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { protocolCode } from "../../support/docs/docs-code.js";
import { examplePython, goBuild } from "../../support/docs/example-programs.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { startProcess } from "../../support/process.js";
import { without } from "../../support/tools.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
const text = await readFile("docs/protocol.md", "utf8");

async function serves(t: Parameters<typeof startProcess>[0], worker: string, command: string, args: string[]) {
  const child = startProcess(t, command, args, { env: { NATS_URL: mesh.natsUrl } });
  await mesh.untilCapacity("adder", 4);
  const jobs = Array.from({ length: 100 }, (_, index) => index);
  const results = await Promise.all(
    jobs.map((value) => mesh.client.submit({ pool: "adder", input: { case: "text", value: String(value) } })),
  );
  assert.deepEqual(
    results.map(({ output }) => Number(output.value)),
    jobs.map((value) => value + 1),
  );
  assert.ok(results.every((each) => each.worker === worker));
  assert.equal(child.ended, false, child.stderr);
  cleanUp(t, () => mesh.untilCapacity("adder", 0));
  cleanUp(t, () => child.kill());
}

test("the small worker in Go of docs/protocol.md runs jobs", { skip: without("go") }, async (t) => {
  const program = await goBuild(t, await protocolCode("go", "worker.go"), "docs-worker");
  await serves(t, "go", program, []);
});

test("the small worker in Python of docs/protocol.md runs jobs", { skip: without("python3") }, async (t) => {
  const python = await examplePython(t);
  await serves(t, "py", python, [await protocolCode("python", "worker.py")]);
});

test("docs/protocol.md names every header", () => {
  for (const header of Object.values(HEADER)) assert.ok(text.includes(`\`${header}`), header);
});

test("docs/protocol.md has the whole catalogue of errors", () => {
  const table = text.replaceAll(/ +/g, " ");
  for (const [reason, { code, number, retryable, when }] of Object.entries(CATALOGUE)) {
    const again = retryable === true ? "yes" : retryable === false ? "no" : "if idempotent";
    assert.ok(table.includes(`| \`${reason}\` | ${Code[code]} | ${number} | ${again} | ${when} |`), reason);
  }
});
