/** `npm run demo`: real input through real processes, and it ends by itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { leakGuard } from "../../support/leak-guard.js";
import { startNode } from "../../support/process.js";

leakGuard();

const LIMIT_MS = 240_000;

test("the demo digests thousands of files, checks a sample, and tells every figure", async (t) => {
  const demo = startNode(t, "examples/demo/demo.ts", [], { input: "", env: { NATS_URL: undefined } });
  const { code, stdout, stderr } = await demo.exit(LIMIT_MS);
  assert.equal(code, 0, stderr);
  const files = Number(/files +([\d,]+), [\d.]+ MB read/.exec(stdout)?.[1]?.replaceAll(",", ""));
  assert.ok(files > 1_000, stdout);
  assert.match(stdout, /failed +0$/m);
  assert.match(stdout, /jobs +[\d,]+ of \d+ files, [\d.]+ s in all$/m);
  assert.match(stdout, /files\/s +[\d,]+$/m);
  assert.match(stdout, /wait +p50 [\d.]+ ms, p99 [\d.]+ ms$/m);
  assert.match(stdout, /utilization +[\d.]+ % .* slots, after [\d.]+ s in which threads loaded$/m);
  assert.equal(stdout.match(/^ .*[\d.]+ % [█░]+ \S+-[12]$/gm)?.length, 2);
  assert.match(stdout, /digests +250 of 250 agree with \w+$/m);
});

test("an interrupted demo stops its mesh", async (t) => {
  const demo = startNode(t, "examples/demo/demo.ts", [], { input: "", env: { NATS_URL: undefined } });
  const [, manager] = await demo.errorLine(/manager (http:\/\/\S+)/, 60_000);
  demo.signal("SIGINT");
  assert.equal((await demo.exit(60_000)).code, 130);
  await assert.rejects(fetch(`${manager}/healthz`));
});
