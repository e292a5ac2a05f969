import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { connectBus, startBroker, startCluster } from "../support/broker.js";
import { eventually } from "../support/wait.js";

test("broker - starts on a free loopback port and carries messages", async (t) => {
  const broker = await startBroker(t);
  const bus = await connectBus(t, broker);
  let heard = "";
  bus.subscribe("greeting", (msg) => {
    heard = msg.string();
  });
  bus.publish("greeting", new TextEncoder().encode("hello"));
  await eventually(() => heard === "hello", { what: "the message" });
  assert.match(broker.url, /^nats:\/\/127\.0\.0\.1:\d+$/);
});

test("broker - a crash and a revival keep the port, and the connection comes back", async (t) => {
  const broker = await startBroker(t);
  const { url, pid } = broker;
  const bus = await connectBus(t, broker);
  await broker.crash();
  await eventually(() => !bus.connected);
  await broker.revive();
  assert.equal(broker.url, url);
  assert.notEqual(broker.pid, pid);
  await eventually(() => bus.connected, { what: "the reconnect" });
});

test("cluster - a message from any member is heard at any other", async (t) => {
  const cluster = await startCluster(t, 3);
  const last = await connectBus(t, cluster.brokers[2] as { url: string });
  const first = await connectBus(t, cluster.brokers[0] as { url: string });
  let heard = 0;
  last.subscribe("across", () => {
    heard += 1;
  });
  await last.flush();
  await eventually(() => {
    first.publish("across");
    return heard > 0;
  });
  assert.equal(new Set(cluster.urls).size, 3);
});
