/** Callers behind a proxy: told apart by what a trusted one says, and one source otherwise. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { cleanUp, type Owner, WHOLE_FILE } from "../../support/clean-up.js";
import { echoServer, errorOf } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { Stream } from "../../support/meter/meter-rig.js";

leakGuard();
const [ALICE, MALLORY] = ["198.51.100.1", "203.0.113.66"];
const files = await makePolicy(WHOLE_FILE);
const good = files.token("alice", "viewer", ["*"]);
files.write([]);

async function served(t: Owner, trustedProxy: readonly string[]) {
  const { log, lines } = readableLog();
  const { server } = echoServer({
    access: { policyFile: files.file },
    trustedProxy,
    maxStreams: 8,
    maxCallerStreams: 2,
    metrics: async () => "up 1\n",
    log,
  });
  cleanUp(t, () => server.stop());
  await server.start();
  let wrong = 0;
  /** Asks as a proxy on this machine passes it on. */
  const ask = async (from: string | undefined, token?: string): Promise<string> => {
    const headers: Record<string, string> = { authorization: `Bearer ${token ?? `pm_wrong-${wrong++}`}` };
    if (from !== undefined) headers["x-forwarded-for"] = from;
    const answer = await fetch(`${server.url}/metrics`, { headers });
    return `${answer.status} ${await answer.text()}`;
  };
  return { server, lines, ask };
}

test("a flood of wrong tokens behind a trusted proxy slows its own source, and nobody else's", async (t) => {
  const { ask, lines } = await served(t, ["127.0.0.0/8"]);
  // What the caller itself has written before the proxy's word counts for nothing.
  for (let i = 0; i < 5; i += 1) await ask(`10.0.0.${i}, ${MALLORY}`);
  assert.match(await ask(MALLORY), /^401 .*too many wrong tokens from this address/);
  assert.match(await ask(ALICE), /^401 .*not known here/);
  assert.match(await ask(ALICE, good), /^200 up 1/);
  assert.match(await ask(undefined), /^401 .*not known here/, "the proxy's own address is another source");
  const sources = lines.filter(({ audit }) => audit === "wrong token").map(({ source }) => source);
  assert.deepEqual([...new Set(sources)], [MALLORY, ALICE, "127.0.0.1"]);
  const from = lines.filter(({ audit }) => audit === "refused").map((line) => line.from);
  assert.deepEqual([...new Set(from)], [MALLORY, ALICE, "127.0.0.1"]);
});

test("without a trusted proxy nobody chooses its address: X-Forwarded-For is ignored", async (t) => {
  for (const trusted of [[], ["192.0.2.0/24"]]) {
    const { ask, lines } = await served(t, trusted);
    for (let i = 0; i < 5; i += 1) await ask(`198.51.100.${i}`);
    assert.match(await ask("198.51.100.200"), /^401 .*too many wrong tokens/);
    assert.deepEqual(
      [...new Set(lines.filter(({ audit }) => audit).map(({ from, source }) => from ?? source))],
      ["127.0.0.1"],
    );
  }
});

test("callers without a token behind a trusted proxy have their numbers of streams each", async (t) => {
  const { server } = await served(t, ["127.0.0.1"]);
  const health = createClient(Health, createGrpcTransport({ baseUrl: server.url }));
  const watch = async (from: string): Promise<void> => {
    const headers = { "x-forwarded-for": from };
    await new Stream(t, (options) => health.watch({ service: "" }, { ...options, headers })).next();
  };
  await watch(MALLORY);
  await watch(MALLORY);
  assert.equal((await errorOf(watch(MALLORY))).code, Code.ResourceExhausted);
  await watch(ALICE);
});
