/** A broker that leaves politely: connections move to another one, and nobody's job fails for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Broker } from "../../../broker/broker.js";
import { Client } from "../../../client/client.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { connectBus, type Owner, startCluster } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { answerAs, playManager } from "../../support/core/played-manager.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "5s"';

interface Crowd {
  readonly leaving: Broker;
  readonly bus: Bus;
  readonly other: Bus;
  readonly moved: () => number;
}

/** Two brokers, with a connection each; the first one is going to leave. */
async function startCrowd(t: Owner): Promise<Crowd> {
  const cluster = await startCluster(t, 2, { extraConfig: LAME_DUCK });
  const [leaving, staying] = cluster.brokers;
  assert.ok(leaving !== undefined && staying !== undefined);
  // In lame duck mode a broker does not heed SIGTERM.
  cleanUp(t, () => leaving.crash());
  const [bus, other] = await Promise.all([connectBus(t, leaving), connectBus(t, staying)]);
  let moved = 0;
  bus.on("reconnect", () => {
    moved += 1;
  });
  bus.on("disconnect", () => assert.fail("a move is no outage"));
  return { leaving, bus, other, moved: () => moved };
}

test("moves - what is published meanwhile arrives in its order", async (t) => {
  const { leaving, bus, other, moved } = await startCrowd(t);
  const heard: number[] = [];
  let isKnown = false;
  other.subscribe("numbers", (msg) => heard.push(Number(msg.string())));
  other.subscribe("hello", () => {
    isKnown = true;
  });
  await other.flush();
  // Brokers tell each other of subscriptions in their order, a little later than they confirm them.
  await eventually(() => {
    bus.publish("hello", Buffer.alloc(0));
    return isKnown;
  });
  leaving.signal("SIGUSR2");
  let sent = 0;
  await eventually(() => {
    for (let i = 0; i < 20; i += 1) {
      bus.requireConnected();
      assert.equal(bus.publish("numbers", Buffer.from(String(sent))), true);
      sent += 1;
    }
    return moved() === 1;
  });
  await bus.flush();
  await eventually(() => heard.length === sent, { what: `all ${sent} numbers` });
  assert.deepEqual(
    heard,
    Array.from({ length: sent }, (_, i) => i),
  );
});

test("moves - a member of a queue group leaves it first, so that no message is on its way to nobody", async (t) => {
  const { leaving, bus, other, moved } = await startCrowd(t);
  const heard = { mover: 0, stayer: 0 };
  const count = (who: keyof typeof heard) => () => {
    heard[who] += 1;
  };
  bus.subscribe("work", count("mover"), "group");
  other.subscribe("work", count("stayer"), "group");
  await Promise.all([bus.flush(), other.flush()]);
  let sent = 0;
  const send = (): void => {
    for (let i = 0; i < 200; i += 1) other.publish("work", Buffer.alloc(64));
    sent += 200;
  };
  await eventually(() => {
    send();
    return heard.mover > 0;
  });
  let before = -1;
  bus.on("handover", () => {
    before = heard.mover;
    send();
  });
  leaving.signal("SIGUSR2");
  await eventually(() => moved() === 1);
  await eventually(() => heard.mover + heard.stayer === sent, { what: "every message at one of them" });
  assert.equal(heard.mover, before, "whoever leaves is not a member any more");
  await eventually(
    () => {
      send();
      return heard.mover > before;
    },
    { what: "the mover to be a member again" },
  );
  await eventually(() => heard.mover + heard.stayer === sent, { what: "every message at one of them" });
});

test("moves - a client waits for the answer to what it sent before it leaves", async (t) => {
  const { leaving, bus, other, moved } = await startCrowd(t);
  const submissions = await playManager(other, "p");
  const client = await Client.connect({ pool: "p", connection: bus });
  cleanUp(t, () => client.close());
  const begun = gate();
  bus.on("handover", () => begun.open());
  const job = client.submit("1");
  await eventually(() => submissions.length === 1);
  leaving.signal("SIGUSR2");
  await begun.promise;
  assert.equal(moved(), 0);
  const [submission] = submissions;
  assert.ok(submission !== undefined);
  answerAs(other, submission, "accepted");
  answerAs(other, submission, "result");
  assert.equal((await job).json(), 7);
  assert.equal(moved(), 0, "it was still there to hear it");
  await eventually(() => moved() === 1);
});

test("moves - a job that was sent during a move is not in doubt after it: it goes to one manager, once", async (t) => {
  const { leaving, bus, other, moved } = await startCrowd(t);
  const submissions = await playManager(other, "p");
  const client = await Client.connect({ pool: "p", connection: bus });
  cleanUp(t, () => client.close());
  const submitted = gate<Promise<unknown>>();
  bus.on("handover", () => {
    submitted.open(client.submit("1", { idempotent: true }).then((result) => result.json()));
  });
  leaving.signal("SIGUSR2");
  await eventually(() => moved() === 1);
  await bus.flush();
  await eventually(() => submissions.length > 0);
  await other.flush();
  const [submission, ...more] = submissions;
  assert.ok(submission !== undefined);
  assert.deepEqual(more, []);
  answerAs(other, submission, "result");
  assert.equal(await submitted.promise, 7);
});
