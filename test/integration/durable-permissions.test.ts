/** The permission sets of docs/permissions.md with those for the durable lane are enough for it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Client } from "../../client/client.js";
import { DurableLane } from "../../client/durable/operator.js";
import { PermanentError } from "../../mesh/errors.js";
import { ManagerService } from "../../services/manager/service.js";
import { Worker } from "../../services/worker/worker.js";
import { startBroker } from "../support/broker.js";
import { cleanUp } from "../support/clean-up.js";
import { failure } from "../support/failure.js";
import { leakGuard } from "../support/leak-guard.js";
import { eventually } from "../support/wait.js";

leakGuard();
const PASSWORD = "for-this-test-only";
const text = readFileSync(new URL("../../docs/permissions.md", import.meta.url), "utf8");

/** The subjects of one cell of the durable table. */
function subjectsOf(role: string, column: 1 | 2): string {
  const row = new RegExp(`^\\| ${role} \\|(.*)\\|(.*)\\|$`, "m").exec(text) ?? assert.fail(role);
  return [...(row[column] ?? "").matchAll(/`([^`]+)`/g)].map(([, subject]) => `"${subject}"`).join(", ");
}

function documentedConfig(): string {
  let config = /```\n([\s\S]*?)```/.exec(text)?.[1] ?? assert.fail("the document has a block");
  config = config.replace(/\$[A-Z]+_PASSWORD/g, PASSWORD);
  for (const role of ["client", "manager"]) {
    const more = (kind: string, column: 1 | 2): void => {
      const list = new RegExp(`(user: ${role},[\\s\\S]*?${kind}: \\[)`);
      config = config.replace(list, (start) => `${start} ${subjectsOf(role, column)},`);
    };
    more("subscribe", 1);
    more("publish", 2);
  }
  const own = `subscribe: [ "_INBOX.>" ], publish: [ ${subjectsOf("client", 2)}, ${subjectsOf("operator", 2)} ]`;
  const operator = `{ user: operator, password: ${PASSWORD}, permissions { ${own} } }`;
  return config.replace("users = [", `users = [ ${operator}`);
}

test("permissions - durable jobs and dead letters work with the documented sets, without a violation", async (t) => {
  const broker = await startBroker(t, { extraConfig: documentedConfig() });
  const as = (user: string) => ({ servers: broker.url, user, password: PASSWORD });
  const listen = { host: "127.0.0.1", port: 0 };
  const manager = new ManagerService({ bus: as("manager"), listen, graceMs: 100, durable: true, pools: ["strict"] });
  const run = (job: { payload: unknown }): unknown => {
    if (job.payload === 13) throw new PermanentError("unlucky");
    return job.payload;
  };
  const worker = new Worker({ pool: "strict", run, slots: 2, bus: as("worker") });
  for (const part of [manager, worker]) {
    cleanUp(t, () => part.stop());
    await part.start();
  }
  // The broker goes first: a manager that still has it waits until its open pulls are over.
  cleanUp(t, () => broker.stop());
  const client = await Client.connect("strict", as("client"));
  cleanUp(t, () => client.close());
  const lane = await DurableLane.open("strict", as("operator"));
  cleanUp(t, () => lane.close());

  const receipt = await client.enqueue("7", { id: "seven", idempotent: false });
  assert.equal((await receipt.result({ timeoutMs: 5_000 })).json(), 7);
  assert.ok((await client.outcome("seven", { waitMs: 5_000 }))?.ok);
  assert.equal((await client.lookup("seven")).state, "ended");
  assert.equal((await failure(client.cancel("nobody"))).reason, "not_found");
  await failure((await client.enqueue("13", { id: "unlucky" })).result({ timeoutMs: 5_000 }));
  await client.enqueue("7", { id: "seven", rerun: true }).then((again) => again.result({ timeoutMs: 5_000 }));
  await eventually(async () => (await lane.figures()).dead === 1);
  await lane.dead.retry("unlucky");
  await eventually(async () => (await lane.dead.get("unlucky"))?.attempt === 1);
  await lane.dead.purge("unlucky");
});
