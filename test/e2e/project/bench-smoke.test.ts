/** The benchmark's smoke: as little as shows that every arm of every row works. No figure is looked at. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../support/process.js";

/** Far more than it needs: a hundred seconds alone, several hundred beside all other tests of a small machine. */
const LIMIT_MS = 900_000;
const ROWS = 11;
/** One arm of each kind; those on Redis are there where Redis is, and in CI. */
const ARMS = [
  ...[
    "bare loop, 2 workers",
    "Poolmesh Client, 1 manager",
    "Poolmesh Client, 2 managers",
    "Poolmesh embedded, 2 workers",
    "nats.js request()",
    "Moleculer",
    "NestJS",
  ],
  ...[
    "ideal central queue",
    "plain queue group",
    "bare echo",
    "bare echo, TLS",
    "Poolmesh, TLS and token",
    "piscina alone",
    "Poolmesh Client, threads",
    "Poolmesh embedded, threads",
  ],
  ...["Poolmesh Client, processes", "Poolmesh embedded, processes"],
  ...["poolmesh up → first result", "Poolmesh Client, 1 manager, measured"],
  ...[
    "poolmesh map, 1 manager",
    "poolmesh map, 2 workers of 1 slot",
    "Poolmesh SubmitMany over Connect, 1 manager",
    "worker ",
    "manager ",
    "meter ",
  ],
];

test("the benchmark's smoke runs every arm of every row and ends by itself", { timeout: LIMIT_MS }, async (t) => {
  const { code, stdout, stderr } = await run(t, process.execPath, ["scripts/bench.js", "--quick"], {
    limitMs: LIMIT_MS,
  });
  assert.equal(code, 0, stderr.slice(-4_000));
  assert.match(stdout, new RegExp(`^${ROWS} rows in`, "m"));
  for (const arm of ARMS) assert.ok(stdout.includes(`\n${arm}`), `no line of ${arm}`);
  if (process.env.CI !== undefined) assert.match(stdout, /\nBullMQ add and wait/);
});
