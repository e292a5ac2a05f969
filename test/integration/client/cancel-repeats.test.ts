/** A cancel of a whole id is said again while nobody answers: it means what was there when it was said first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { encodeRevocation } from "../../../mesh/wire/cancel-messages.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { Manager } from "../../../services/manager/manager.js";
import { connectBus, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate, settled, within } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
const bus = await connectBus(WHOLE_FILE, mesh.broker);

/** A pool whose handlers end when they are let go, or aborted. */
async function startPool(pool: string, servers = mesh.natsUrl) {
  const go = gate();
  const started: string[] = [];
  await mesh.addWorker<string, string>({
    pool,
    codec: "text",
    slots: 4,
    bus: { servers },
    run: async ({ payload, signal }) => {
      started.push(payload);
      await Promise.race([go.promise, new Promise((_, reject) => signal.addEventListener("abort", reject))]);
      return payload;
    },
  });
  if (servers === mesh.natsUrl) await mesh.untilCapacity(pool, 4);
  return { go, started };
}

const client = (pool: string, _servers = mesh.natsUrl) => Client.connect({ pool, connection: bus });
const manager = async (pool: string, servers = mesh.natsUrl) => {
  const embedded = await Manager.connect({ pool, servers, graceMs: 0 });
  await eventually(() => embedded.capacity.slots === 4);
  return embedded;
};

for (const [name, pool, connect] of [
  ["a client", "by-client", client],
  ["an embedded manager", "by-manager", manager],
  ["an embedded manager without a manager service", "alone", manager],
] as const) {
  test(`${name} that cancels an id which nobody has, and submits a job of that id without waiting, hears its result`, async (t) => {
    const servers = pool === "alone" ? (await startBroker(t)).url : mesh.natsUrl;
    const { go, started } = await startPool(pool, servers);
    const submitter = await connect(pool, servers);
    cleanUp(t, () => submitter.close());
    const canceled = failure(submitter.cancel("j"));
    const result = submitter.submit("anew", { id: "j" });
    assert.equal((await within(canceled)).reason, "not_found");
    assert.equal(await settled(result), "pending");
    go.open();
    assert.equal((await within(result)).text(), "anew");
    assert.deepEqual(started, ["anew"]);
  });
}

/** One cancel of a whole id, which may be said again, and who has answered it. */
function cancelOf(pool: string, id: string) {
  const reply = `${bus.inboxRoot}.cancels.${bus.runtime.newId()}`;
  const answers: string[] = [];
  bus.subscribe(reply, (msg) => answers.push(msg.headers?.get(HEADER.worker) || "manager"));
  const say = (saidAgoMs?: number): void => {
    const headers = encodeRevocation({ upToAttempt: undefined, nonce: undefined, ...(saidAgoMs && { saidAgoMs }) });
    bus.publish(`pool.${pool}.cancel.${id}`, undefined, { headers, reply });
  };
  return { answers, say };
}

test("a cancel that is said again is answered as it was at first, and does not end what began since, whether it was heard before or not", async (t) => {
  const { started } = await startPool("answered");
  const submitter = await client("answered");
  cleanUp(t, () => submitter.close());
  const first = failure(submitter.submit("1", { id: "j" }));
  await eventually(() => started.length === 1);
  const heard = cancelOf("answered", "j");
  heard.say();
  assert.equal((await within(first)).reason, "canceled");
  await eventually(() => heard.answers.length > 0);
  const anew = failure(submitter.submit("2", { id: "j" }));
  await eventually(() => started.length === 2);
  const isAnsweredAgain = async (): Promise<void> => {
    const before = heard.answers.length;
    heard.say(1);
    await eventually(() => heard.answers.length > before);
  };
  await isAnsweredAgain();
  const unheard = cancelOf("answered", "j");
  unheard.say(60_000);
  await isAnsweredAgain();
  assert.deepEqual([await settled(anew), unheard.answers], ["pending", []]);
  cancelOf("answered", "j").say(1);
  assert.equal((await within(anew)).reason, "canceled", "what was there then is meant");
});
