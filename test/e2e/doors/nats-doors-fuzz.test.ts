/**
 * Random messages at every NATS subject that a mesh listens to: no process dies, every answer is
 * typed, no job beside them is lost, nothing secret is printed, logs and memory stay small, and
 * nobody takes garbage for the state of a worker.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Client } from "../../../client/client.js";
import { isReason } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { headersOf } from "../../../mesh/wire/wire-headers.js";
import { memoryMib } from "../../faults/rig/resources.js";
import { connectBus, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { FuzzMessages } from "../../support/doors/fuzz-messages.js";
import { RawNats } from "../../support/doors/raw-nats.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startCli, type TestProcess } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { seededRandom } from "../../support/random.js";
import { eventually } from "../../support/wait.js";

const SEED = Number(process.env.FUZZ_SEED ?? 20_261_128);
const LIMIT_MS = Number(process.env.FUZZ_MS ?? 5_000);
const MOST_MESSAGES = 20_000;
const MESSAGES_AT_ONCE = 50;
const PASSWORD = "hunter2/of:the@broker";
const LOGIN = { user: "u", pass: PASSWORD };
const SLOTS = 4;
const POOL = "real";
/** How much larger a process may become, in MiB. */
const MOST_GROWTH_MIB = 150;
/** How many lines a process may print about it all. */
const MOST_LINES = 300;

leakGuard();

/** Jobs, a few at a time, until it is told to end. */
class Beside {
  done = 0;
  readonly failed: string[] = [];
  #ends = false;

  constructor(readonly client: Client) {}

  async run(): Promise<void> {
    const one = async (): Promise<void> => {
      while (!this.#ends) {
        const number = this.done;
        this.done += 1;
        await this.client.submit(String(number), { timeoutMs: 10_000 }).then(
          (result) => {
            if (result.text() !== String(number)) this.failed.push(`${number} → ${result.text()}`);
          },
          (error: Error) => this.failed.push(`${number}: ${error.message}`),
        );
      }
    };
    await Promise.all([one(), one(), one()]);
  }

  end(): void {
    this.#ends = true;
  }
}

/** What comes back to the fuzzer. */
class Answers {
  count = 0;
  readonly wrong: string[] = [];

  constructor(bus: Bus) {
    bus.subscribe("_INBOX.fuzz.*", (msg) => {
      this.count += 1;
      const headers = headersOf(msg);
      const reason = headers?.get("Pool-Error") ?? "";
      const said = `${reason} ${headers?.get("Nats-Service-Error") ?? ""} ${msg.data.length < 500 ? msg.string() : ""}`;
      const isWrong = (reason !== "" && !isReason(reason)) || reason === "internal";
      if (isWrong || /hunter|node_modules|\bat \S+ \(/.test(said)) this.wrong.push(said);
    });
  }
}

/** Inboxes of others that are in use, as whoever may hear all of the mesh learns them. */
function learnInboxes(bus: Bus, inboxes: string[]): void {
  const learn = (reply: string | undefined): void => {
    if (!reply?.startsWith("_INBOX.") || reply.startsWith("_INBOX.fuzz.")) return;
    inboxes.push(reply);
    if (inboxes.length > 64) inboxes.shift();
  };
  bus.subscribe("pool.>", (msg) => learn(msg.reply));
}

async function startMesh(t: TestContext, url: string): Promise<TestProcess[]> {
  const env = {
    NATS_URL: url.replace("//", `//u:${encodeURIComponent(PASSWORD)}@`),
    POOLMESH_LOG_LEVEL: "debug",
    // Jobs of pools that nobody serves are still parked at the end.
    POOLMESH_GRACE_MS: "500",
  };
  const processes = [
    startCli(t, ["manager", "--listen", "127.0.0.1:0", "--id", "m1", "--durable"], { env }),
    startCli(t, ["meter", "--listen", "127.0.0.1:0"], { env }),
    startCli(
      t,
      [
        "worker",
        "--handler",
        programFile("../../support/handlers/bytes-echo", import.meta.url),
        "--pool",
        POOL,
        "--id",
        "w1",
        "--slots",
        String(SLOTS),
      ],
      { env },
    ),
  ];
  for (const each of processes) await each.line(/"msg":"(ready|READY)"|"state":"READY"/i);
  return processes;
}

test("random messages at every NATS subject end no process, lose no job and are nobody's state", async (t) => {
  const broker = await startBroker(t, { auth: { user: "u", password: PASSWORD } });
  const processes = await startMesh(t, broker.url);
  const bus = await connectBus(t, broker, { user: "u", password: PASSWORD });
  const client = await Client.connect({ pool: POOL, connection: bus });
  cleanUp(t, () => client.close());
  const beside = new Beside(client);
  const running = beside.run();
  const answers = new Answers(bus);
  const messages = new FuzzMessages(seededRandom(SEED), { pool: POOL, worker: "w1", manager: "m1" });
  learnInboxes(bus, messages.inboxes);
  await eventually(() => beside.done > 100 && messages.inboxes.length > 10);
  const before = await Promise.all(processes.map(({ pid }) => memoryMib(pid)));
  const linesBefore = processes.map(({ stdout }) => stdout.split("\n").length);

  const sent = await throwMessages(t, broker.url, messages);
  beside.end();
  await running;

  t.diagnostic(`seed ${SEED}: ${sent} messages, ${answers.count} answers, ${beside.done} jobs beside`);
  assert.ok(sent > 100, String(sent));
  assert.deepEqual(beside.failed, [], `seed ${SEED}`);
  assert.deepEqual([...new Set(answers.wrong)], [], `seed ${SEED}`);
  assert.ok(answers.count > sent / 20, String(answers.count));
  for (const [i, each] of processes.entries()) {
    assert.ok(!each.ended, `seed ${SEED}: ${each.stdout.slice(-2_000)} ${each.stderr.slice(-2_000)}`);
    const lines = each.stdout.split("\n").length - (linesBefore[i] ?? 0);
    const grown = (await memoryMib(each.pid)) - (before[i] ?? 0);
    t.diagnostic(`process ${i}: ${lines} lines, ${grown} MiB more`);
    assert.ok(lines <= MOST_LINES, `${lines} lines: ${each.stdout.slice(-3_000)}`);
    assert.ok(grown < MOST_GROWTH_MIB, `${grown} MiB more`);
  }
  await stateIsTrue(processes);
  for (const each of processes.reverse()) {
    const { code, stdout, stderr } = await each.stop();
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /hunter/);
    assert.doesNotMatch(stdout, /callback threw|unhandled/i);
    assert.equal(stderr, "");
  }
});

async function throwMessages(t: TestContext, url: string, messages: FuzzMessages): Promise<number> {
  const endAtMs = performance.now() + LIMIT_MS;
  let raw = new RawNats(t, url, LOGIN);
  let sent = 0;
  while (performance.now() < endAtMs && sent < MOST_MESSAGES) {
    for (let i = 0; i < MESSAGES_AT_ONCE; i += 1) raw.publish(messages.next());
    await raw.flush();
    if (raw.refused !== "") {
      // Some blocks are more than the broker takes: it ends the connection.
      t.diagnostic(raw.refused);
      raw = new RawNats(t, url, LOGIN);
    } else sent += MESSAGES_AT_ONCE;
  }
  return sent;
}

/** The meter shows the one worker as it is, and the totals of its pool. */
async function stateIsTrue([manager, meter]: readonly TestProcess[]): Promise<void> {
  const ask = async (service: TestProcess | undefined, method: string, body: unknown): Promise<string> => {
    const [, url = ""] = (await service?.line(/"url":"([^"]+)".*"msg":"ready"/)) ?? [];
    const headers = { "content-type": "application/json" };
    return (await fetch(`${url}/${method}`, { method: "POST", headers, body: JSON.stringify(body) })).text();
  };
  const listed = await ask(manager, "poolmesh.v1.ManagerService/ListWorkers", { pool: POOL });
  assert.match(listed, /"state":"WORKER_STATE_READY"/);
  assert.equal(listed.match(/"worker":"/g)?.length, 1, listed);
  const shown = await ask(meter, "poolmesh.v1.MeterService/GetCapacity", { pool: POOL });
  assert.match(shown, new RegExp(`"slots":${SLOTS}\\b`), shown);
}
