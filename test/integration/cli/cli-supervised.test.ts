/** Supervision of one process: what an exit means, and that it is always ended. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { type ServiceSpec, Supervised } from "../../../cli/up/supervised.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { lifecycleContract } from "../../support/core/lifecycle-contract.js";
import { leakGuard } from "../../support/leak-guard.js";
import { isAlive } from "../../support/up.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();

const READY = `console.log(JSON.stringify({ level: 30, msg: "ready", url: "http://x" }));`;
const STOPPED = `console.log(JSON.stringify({ level: 30, msg: "worker stopped" }));`;
/** Is ready and lives until it is told to stop. */
const STEADY = `setInterval(() => {}, 1000); process.on("SIGTERM", () => process.exit(0)); ${READY}`;
/** As a worker does: says that it stops, and exits with 0. */
const DRAINS = `setInterval(() => {}, 1000); process.on("SIGUSR2", () => { ${STOPPED} process.exit(0); }); ${READY}`;

interface Watched {
  readonly service: Supervised;
  readonly events: string[];
}

/** Deaths are followed by a start at once, the fourth by giving up. */
function supervise(t: Owner, script: string, more: Partial<ServiceSpec> = {}): Watched {
  const events: string[] = [];
  let deaths = 0;
  const service = new Supervised({
    name: "service",
    self: { file: process.execPath, args: ["-e", script] },
    args: async () => [],
    env: process.env,
    mayLeave: false,
    stopLimitMs: 10_000,
    onLine: () => undefined,
    onEvent: (text) => events.push(text),
    policy: {
      onExit: () => {
        deaths += 1;
        return deaths > 3 ? { again: false } : { again: true, delayMs: 0 };
      },
    },
    ...more,
  });
  cleanUp(t, () => service.stop());
  return { service, events };
}

lifecycleContract(
  "supervised service",
  (t) => supervise(t, STEADY).service,
  (t) => supervise(t, "process.exit(78)").service,
);

test("supervised - a process that is killed is started again, and its address is known", async (t) => {
  const { service, events } = supervise(t, STEADY);
  await service.start();
  assert.equal(service.url, "http://x");
  const first = service.pid;
  process.kill(first, "SIGKILL");
  await eventually(() => service.pid !== 0 && service.pid !== first);
  assert.deepEqual(events, ["service died (SIGKILL); starting it again in 0 ms"]);
  assert.equal(isAlive(first), false);
});

test("supervised - what dies too often in a row is given up, with its last words", async (t) => {
  const { service, events } = supervise(t, 'console.error("no luck"); process.exit(3)');
  await assert.rejects(service.start(), { reason: "internal" });
  const error = await within(service.closed);
  assert.match(error?.message ?? "", /too often in a row, last by exit code 3: no luck/);
  assert.equal(events.length, 3);
});

test("supervised - a wrong configuration is not tried again", async (t) => {
  const { service, events } = supervise(t, 'console.error("slots: no"); process.exit(78)');
  await assert.rejects(service.start(), { reason: "invalid_argument", message: /slots: no/ });
  assert.deepEqual(events, []);
});

const TAKEN = "cannot start: listen 127.0.0.1:8080: the port is in use: stop the other program";
/** Finds its port taken, unless any port will do. */
const NEEDS_ANY_PORT = `if (process.argv.includes("any")) { ${STEADY} } else {
  console.log(JSON.stringify({ level: 50, msg: "cannot start", error: ${JSON.stringify(TAKEN)} }));
  process.exit(78);
}`;

test("supervised - a port that another program takes at the last moment is given up for any other, without a word", async (t) => {
  const lines: unknown[] = [];
  const args = async (_lastUrl: string, anyPort: boolean): Promise<string[]> => [anyPort ? "any" : "8080"];
  const onLine = (line: unknown): void => void lines.push(line);
  const { service, events } = supervise(t, NEEDS_ANY_PORT, { mayMove: true, args, onLine });
  await service.start();
  assert.equal(service.url, "http://x");
  assert.deepEqual(events, []);
  assert.doesNotMatch(JSON.stringify(lines), /in use/);
});

test("supervised - what has gone to any other port comes back there when it dies", async (t) => {
  const asked: [string, boolean][] = [];
  const args = async (lastUrl: string, anyPort: boolean): Promise<string[]> => {
    asked.push([lastUrl, anyPort]);
    return [anyPort || lastUrl !== "" ? "any" : "8080"];
  };
  const { service } = supervise(t, NEEDS_ANY_PORT, { mayMove: true, args });
  await service.start();
  const first = service.pid;
  process.kill(first, "SIGKILL");
  await eventually(() => service.pid !== 0 && service.pid !== first);
  assert.deepEqual(asked, [
    ["", false],
    ["", true],
    ["http://x", false],
  ]);
});

test("supervised - a port that was asked for and is taken is a wrong configuration", async (t) => {
  const { service } = supervise(t, NEEDS_ANY_PORT);
  await assert.rejects(service.start(), { reason: "invalid_argument", message: /the port is in use/ });
});

test("supervised - who was drained has left; who only exits with 0 has died", async (t) => {
  const drained = supervise(t, DRAINS, { mayLeave: true });
  await drained.service.start();
  process.kill(drained.service.pid, "SIGUSR2");
  assert.equal(await within(drained.service.closed), undefined);
  assert.deepEqual(drained.events, ["service was drained and has left"]);

  const exits = supervise(t, STEADY, { mayLeave: true });
  await exits.service.start();
  process.kill(exits.service.pid, "SIGTERM");
  await eventually(() => exits.events.length > 0);
  assert.match(exits.events[0] ?? "", /died \(exit code 0\)/);
});

test("supervised - replace starts a new process once the old one has left", async (t) => {
  const { service, events } = supervise(t, DRAINS, { mayLeave: true });
  await service.start();
  const first = service.pid;
  await service.replace(async () => void process.kill(first, "SIGUSR2"));
  assert.ok(service.pid !== first && isAlive(service.pid));
  assert.deepEqual(events, []);
});

test("supervised - a process that ignores SIGTERM is killed at the limit", async (t) => {
  const { service } = supervise(t, `process.on("SIGTERM", () => {}); ${READY} setInterval(() => {}, 1000);`, {
    stopLimitMs: 200,
  });
  await service.start();
  const { pid } = service;
  await within(service.stop());
  assert.equal(isAlive(pid), false);
});

test("a service whose parent has gone before it listens ends by itself", async (t) => {
  const child = fork("cli/main.ts", ["manager"], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  cleanUp(t, () => child.kill("SIGKILL"));
  child.disconnect();
  await within(once(child, "exit"), { limitMs: 90_000 });
});
