/** Random bytes at every HTTP door: no process dies, no answer is a bare 500, nothing secret is printed. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { FuzzRequests } from "../../support/doors/fuzz-requests.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startCli, type TestProcess } from "../../support/process.js";
import { seededRandom } from "../../support/random.js";

const SEED = Number(process.env.FUZZ_SEED ?? 20_261_128);
const LIMIT_MS = 6_000;
const MOST_REQUESTS = 1_500;
const AT_ONCE = 16;
/** How long an answer is waited for; a request that is cut off may have none. */
const ANSWER_LIMIT_MS = 300;
const PASSWORD = "hunter2/of:the@broker";
const TOKEN = "hunter3-of-the-meter";

leakGuard();

/** What comes back within the limit. */
function exchange(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const timer = setTimeout(() => socket.destroy(), ANSWER_LIMIT_MS);
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(text);
    });
  });
}

/** An answer of 500 that says no more than that something is wrong with us. */
function isBare500(answer: string): boolean {
  if (!/^HTTP\/1\.1 500/.test(answer)) return false;
  return !answer.includes("poolmesh.v1.ErrorDetail") || /"code":"internal"/.test(answer);
}

async function fuzz(service: TestProcess, url: string, seed: number): Promise<number> {
  const requests = new FuzzRequests(seededRandom(seed));
  const port = Number(new URL(url).port);
  const endAtMs = performance.now() + LIMIT_MS / 2;
  let sent = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < endAtMs && sent < MOST_REQUESTS) {
      sent += 1;
      const bytes = requests.next();
      const answer = await exchange(port, bytes);
      const said = `seed ${seed}: ${JSON.stringify(bytes.toString("latin1"))} → ${JSON.stringify(answer)}`;
      assert.ok(!isBare500(answer), said);
      assert.doesNotMatch(answer, /hunter|node_modules|\bat \S+ \(/, said);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  assert.ok(!service.ended, `seed ${seed}: the process has ended`);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  return sent;
}

test("random bytes end no process, get no bare 500 and bring nothing secret to light", async (t) => {
  const broker = await startBroker(WHOLE_FILE, { auth: { user: "u", password: PASSWORD } });
  const env = {
    NATS_URL: broker.url.replace("//", `//u:${encodeURIComponent(PASSWORD)}@`),
    POOLMESH_CONTROL_TOKEN: TOKEN,
    POOLMESH_LOG_LEVEL: "debug",
  };
  const services = [
    startCli(t, ["manager", "--listen", "127.0.0.1:0", "--durable"], { env }),
    startCli(t, ["meter", "--listen", "127.0.0.1:0", "--control"], { env }),
  ];
  for (const [i, service] of services.entries()) {
    const [, url = ""] = await service.line(/"url":"([^"]+)".*"msg":"ready"/);
    const sent = await fuzz(service, url, SEED + i);
    t.diagnostic(`seed ${SEED + i}: ${sent} requests`);
    assert.ok(sent > 100, String(sent));
    const { code, stdout, stderr } = await service.stop();
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /hunter/);
    assert.doesNotMatch(stdout, /"msg":"(call|request) failed"/);
    assert.equal(stderr, "");
  }
});
