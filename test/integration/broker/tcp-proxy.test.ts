import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { cleanUp } from "../../support/clean-up.js";
import { lifecycleContract } from "../../support/core/lifecycle-contract.js";
import { leakGuard } from "../../support/leak-guard.js";
import { DelayQueue } from "../../support/proxy/delay-queue.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually } from "../../support/wait.js";

leakGuard();
lifecycleContract("tcp proxy", () => new TcpProxy("nats://127.0.0.1:1"));

/** An echo server, the proxy before it, and a client through both. */
async function echoThroughProxy(t: TestContext) {
  const echo = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  cleanUp(t, () => new Promise((resolve) => echo.close(resolve)));
  const proxy = new TcpProxy(`nats://127.0.0.1:${(echo.address() as { port: number }).port}`);
  cleanUp(t, () => proxy.stop());
  await proxy.start();
  return { proxy, client: () => watch(t, connect(Number(new URL(proxy.url).port), "127.0.0.1")) };
}

function watch(t: TestContext, socket: Socket) {
  const client = { socket, text: "", error: "", closed: false };
  socket.setEncoding("utf8").on("data", (text: string) => {
    client.text += text;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    client.error = error.code ?? "";
  });
  socket.on("close", () => {
    client.closed = true;
  });
  cleanUp(t, () => socket.destroy());
  return client;
}

test("delay queue - what came first is done first, though timers are late and the delay is taken away", async (t) => {
  const queue = new DelayQueue();
  cleanUp(t, () => queue.stop());
  const done: number[] = [];
  const push = (delayMs: number, n: number): void => queue.push(delayMs, () => done.push(n));
  [5, 5.9, 5.1, 0, 7, 2].forEach(push);
  const untilMs = performance.now() + 20;
  while (performance.now() < untilMs);
  push(0, 6);
  assert.deepEqual(done, [], "no timer could end yet");
  await eventually(() => done.length === 7);
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6]);
  push(0, 7);
  assert.equal(done.at(-1), 7, "nothing waits: it is done at once");
});

test("tcp proxy - passes bytes both ways", async (t) => {
  const { proxy, client } = await echoThroughProxy(t);
  const one = client();
  one.socket.write("hello");
  await eventually(() => one.text === "hello");
  assert.equal(proxy.connections, 1);
});

test("tcp proxy - what is paused arrives after heal, what is dropped never does", async (t) => {
  const { proxy, client } = await echoThroughProxy(t);
  const one = client();
  one.socket.write("a");
  await eventually(() => one.text === "a");
  proxy.set("to-server", { mode: "drop" });
  one.socket.write("b");
  await eventually(() => one.socket.writableLength === 0 && proxy.connections === 1);
  const other = client();
  other.socket.write("x");
  await eventually(() => proxy.connections === 2);
  proxy.set("both", { mode: "pause" });
  one.socket.write("c");
  proxy.heal();
  one.socket.write("d");
  await eventually(() => one.text.endsWith("d"));
  assert.ok(one.text.includes("c"));
});

test("tcp proxy - a delay holds bytes back and keeps their order", async (t) => {
  const { proxy, client } = await echoThroughProxy(t);
  proxy.set("to-client", { delayMs: 100 });
  const one = client();
  const begin = performance.now();
  for (const text of ["a", "b", "c"]) one.socket.write(text);
  await eventually(() => one.text === "abc");
  assert.ok(performance.now() - begin >= 99);
});

test("tcp proxy - cuts after so many bytes, by a reset", async (t) => {
  const { proxy, client } = await echoThroughProxy(t);
  proxy.set("to-client", { cutAfterBytes: 4 });
  const one = client();
  one.socket.write("abcdefgh");
  await eventually(() => one.closed);
  assert.ok("abcd".startsWith(one.text));
});

test("tcp proxy - a reset ends every connection, and refuses new ones until it heals", async (t) => {
  const { proxy, client } = await echoThroughProxy(t);
  const one = client();
  one.socket.write("a");
  await eventually(() => one.text === "a");
  proxy.reset({ refuse: true });
  await eventually(() => one.closed);
  const two = client();
  await eventually(() => two.closed);
  proxy.heal();
  const three = client();
  three.socket.write("c");
  await eventually(() => three.text === "c");
});
