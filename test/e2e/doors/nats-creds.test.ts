/** The nats command with `.creds` files of the table of rights, at a broker in operator mode. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rights } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { cleanUp } from "../../support/clean-up.js";
import { startRightsBroker } from "../../support/doors/rights-broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { type Exit, run } from "../../support/process.js";
import { toolPath, without } from "../../support/tools.js";
import { eventually } from "../../support/wait.js";

const skip = without("nats");
leakGuard();
const RIGHTS = {
  manager: rightsOf({ role: "manager", name: "m1" }),
  worker: rightsOf({ role: "worker", name: "w1", pools: ["adder"] }),
  shop: rightsOf({ role: "client", name: "shop", pools: ["adder"] }),
  rival: rightsOf({ role: "client", name: "rival", pools: ["other"] }),
};

test("a client's credential submits a job and hears its result, a rival's and a worker's are refused", {
  skip,
}, async (t) => {
  const broker = await startRightsBroker(t, "JWT", Object.values(RIGHTS));
  const listen = { host: "127.0.0.1", port: 0 };
  const manager = new ManagerService({ id: "m1", bus: broker.busOptions(RIGHTS.manager), listen, graceMs: 100 });
  const bus = broker.busOptions(RIGHTS.worker);
  const worker = new Worker<number, number>({ id: "w1", pool: "adder", ...bus, run: ({ payload }) => payload + 1 });
  for (const part of [manager, worker]) {
    cleanUp(t, () => part.stop());
    await part.start();
  }
  const nats = (rights: Rights, ...args: string[]): Promise<Exit> => {
    const { servers, credsFile, inboxPrefix } = broker.busOptions(rights);
    const own = inboxPrefix === undefined ? [] : ["--inbox-prefix", inboxPrefix];
    const argv = ["--no-context", "--server", String(servers), "--creds", String(credsFile), ...own, ...args];
    return run(t, toolPath("nats"), argv, { limitMs: 20_000 });
  };
  await eventually(
    async () => (await nats(RIGHTS.shop, "req", "--raw", "pool.adder.submit", "41")).stdout.trim() === "42",
  );
  const refused: [Rights, string[]][] = [
    [RIGHTS.rival, ["pub", "pool.adder.submit", "41"]],
    [RIGHTS.shop, ["pub", "pool.adder.job", "41"]],
    [RIGHTS.worker, ["pub", "pool.adder.submit", "41"]],
    [RIGHTS.worker, ["sub", "--count", "1", "--wait", "1s", "pool.other.job"]],
  ];
  for (const [rights, argv] of refused) {
    const { stdout, stderr } = await nats(rights, ...argv);
    assert.match(stdout + stderr, /permissions violation/i, argv.join(" "));
  }
});
