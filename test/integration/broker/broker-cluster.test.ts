import assert from "node:assert/strict";
import { test } from "node:test";
import type { Broker } from "../../../broker/broker.js";
import { connectBus, startCluster } from "../../support/broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

leakGuard();

test("cluster - a message from any member is heard at any other, also after a restart of the first", async (t) => {
  const cluster = await startCluster(t, 3);
  const [first, , last] = cluster.brokers as [Broker, Broker, Broker];
  assert.equal(new Set(cluster.urls).size, 3);
  await first.crash();
  await first.revive();
  await cluster.ready();
  const listener = await connectBus(t, last);
  const speaker = await connectBus(t, first);
  let heard = 0;
  listener.subscribe("across", () => {
    heard += 1;
  });
  await listener.flush();
  await eventually(() => speaker.publish("across") && heard > 0, { what: "a message across the cluster" });
});

test("cluster - closed settles with an error when a member ends by itself", async (t) => {
  const cluster = await startCluster(t, 2);
  process.kill((cluster.brokers[1] as Broker).pid, "SIGKILL");
  const error = await cluster.closed;
  assert.match(error?.message ?? "", /ended by itself/);
});

test("cluster - a token guards every member", async (t) => {
  const cluster = await startCluster(t, 2, { auth: { token: "let-me-in" } });
  await connectBus(t, cluster.brokers[1] as Broker, { token: "let-me-in" });
  await assert.rejects(connectBus(t, cluster.brokers[0] as Broker), { reason: "unauthenticated" });
});
