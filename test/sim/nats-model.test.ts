/**
 * What the model of NATS does that cannot be compared with a real broker in
 * moments: wires, deaths, long silences. What can be compared is in conformance.test.ts.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Bus } from "../../mesh/link/bus.js";
import { Interest } from "../../testing/nats/server/interest.js";
import { SubjectPattern } from "../../testing/nats/server/subject-match.js";
import { Rig } from "./nats/rig.js";

suite("wires", () => {
  test("bytes take the time of their link, each direction its own", async () => {
    const rig = new Rig();
    const [a, b] = [await rig.client("a"), await rig.client("b")];
    b.subscribe("x");
    await rig.run(10);
    rig.network.setLink(a.process, { toBroker: { delayMs: 100 } });
    rig.network.setLink(b.process, { fromBroker: { delayMs: 50 } });
    const from = rig.world.now();
    a.publish("x", "late");
    await rig.run(1_000);
    assert.deepEqual(b.seen, [`${from + 150} x late`]);
  });

  test("a large payload delays what follows on its connection, and nothing on others", async () => {
    const rig = new Rig();
    const [a, b, c] = [await rig.client("a"), await rig.client("b"), await rig.client("c")];
    c.subscribe("x");
    await rig.run(10);
    rig.network.setLink(a.process, { bytesPerMs: 100 });
    a.connection.publish("y", new Uint8Array(100_000));
    a.publish("x", "behind");
    b.publish("x", "beside");
    await rig.run(999);
    assert.deepEqual(c.texts, ["x beside"]);
    await rig.run(10);
    assert.deepEqual(c.texts, ["x beside", "x behind"]);
  });

  test("jitter keeps the order of a connection", async () => {
    const rig = new Rig();
    const [a, b] = [await rig.client("a"), await rig.client("b")];
    b.subscribe("x");
    await rig.run(10);
    rig.network.setLink(a.process, { jitterMs: 50 });
    for (let i = 0; i < 100; i += 1) {
      a.publish("x", String(i));
      await rig.run(1);
    }
    await rig.run(100);
    assert.deepEqual(
      b.texts,
      Array.from({ length: 100 }, (_, i) => `x ${i}`),
    );
    const gaps = b.seen.map((line) => Number(line.split(" ")[0])).map((at, i, all) => at - (all[i - 1] ?? at));
    assert.ok(Math.max(...gaps) > 5, "the messages come in bursts");
  });

  test("one direction can be held alone", async () => {
    const rig = new Rig();
    const [a, b] = [await rig.client("a"), await rig.client("b")];
    a.subscribe("x");
    b.subscribe("x");
    await rig.run(10);
    rig.network.holdLink(a.process, { direction: "fromBroker" });
    a.publish("x", "hello");
    await rig.run(100);
    assert.deepEqual([a.texts, b.texts], [[], ["x hello"]]);
    rig.network.releaseLink(a.process);
    await rig.run(100);
    assert.deepEqual(a.texts, ["x hello"]);
  });

  test("a cut link tells nobody: the client learns it from its pings, the broker when it writes after the link works", async () => {
    const rig = new Rig();
    const [a, b] = [await rig.client("a"), await rig.client("b")];
    a.subscribe("x", "g");
    b.subscribe("in.*");
    await rig.run(10);
    rig.network.cutLink(a.process);
    b.publish("x", "swallowed", { reply: "in.1" });
    await rig.run(14_900);
    assert.deepEqual([a.texts, b.texts], [[], []]);
    await rig.run(5_000);
    assert.deepEqual(a.texts, ["staleConnection", "disconnect", "reconnecting"]);
    rig.network.healLink(a.process);
    b.publish("x", "written to the dead connection", { reply: "in.2" });
    await rig.run(10);
    b.publish("x", "nobody is there", { reply: "in.3" });
    await rig.run(10);
    assert.deepEqual(b.texts, ["in.3 status 503"]);
    await rig.run(6_000);
    assert.equal(a.texts.at(-1), "reconnect");
  });

  test("a link that is down refuses each attempt at once, until it is healed", async () => {
    const rig = new Rig();
    const a = await rig.client("a");
    rig.network.downLink(a.process);
    await rig.run(2_000);
    const attempts = a.texts.filter((text) => text === "reconnecting").length;
    assert.ok(attempts >= 5, `${attempts} attempts in two seconds`);
    rig.network.healLink(a.process);
    await rig.run(400);
    assert.equal(a.texts.at(-1), "reconnect");
  });
});

suite("deaths and silences", () => {
  test("a killed process leaves its groups at once; a part of what it wrote last may be lost", async () => {
    const received = new Set<number>();
    for (let seed = 1; seed <= 20; seed += 1) {
      const rig = new Rig({ seed });
      const [a, b] = [await rig.client("a"), await rig.client("b")];
      a.subscribe("x", "g");
      b.subscribe("in.*");
      await rig.run(10);
      for (let i = 0; i < 9; i += 1) a.publish("in.1", String(i));
      a.process.kill();
      rig.network.killProcess(a.process);
      await rig.run(10);
      b.publish("x", "", { reply: "in.2" });
      await rig.run(10);
      assert.equal(b.texts.at(-1), "in.2 status 503");
      received.add(b.texts.length - 1);
    }
    assert.ok(received.size > 3 && Math.max(...received) === 9, [...received].join());
  });

  test("a stopped process keeps its place and gets everything when it goes on", async () => {
    const rig = new Rig();
    const [a, b] = [await rig.client("a"), await rig.client("b")];
    a.subscribe("x", "g");
    await rig.run(10);
    a.process.stop();
    for (let i = 0; i < 3; i += 1) b.publish("x", String(i));
    await rig.run(60_000);
    assert.deepEqual(a.texts, []);
    a.process.goOn();
    await rig.run(10);
    assert.deepEqual(a.texts, ["x 0", "x 1", "x 2"]);
  });

  test("a broker ends the session of a client that answers no ping", async () => {
    const rig = new Rig({ broker: { pingIntervalMs: 1_000 } });
    const [a, b] = [await rig.client("a"), await rig.client("b")];
    a.subscribe("x", "g");
    b.subscribe("in.*");
    await rig.run(10);
    a.process.stop();
    await rig.run(5_000);
    b.publish("x", "", { reply: "in.1" });
    await rig.run(10);
    assert.deepEqual(b.texts, ["in.1 status 503"]);
  });

  test("of what is on its way from a killed broker a part may still come, from the beginning", async () => {
    const received = new Set<number>();
    for (let seed = 1; seed <= 20; seed += 1) {
      const rig = new Rig({ seed });
      const a = await rig.client("a");
      a.subscribe("x");
      rig.network.setLink(a.process, { fromBroker: { delayMs: 100 } });
      for (let i = 0; i < 9; i += 1) a.publish("x", String(i));
      await rig.run(50);
      rig.network.killBroker("b0");
      await rig.run(120);
      const messages = a.texts.filter((text) => text.startsWith("x "));
      assert.deepEqual(
        messages,
        messages.map((_, i) => `x ${i}`),
      );
      assert.ok(a.texts.includes("disconnect"));
      received.add(messages.length);
    }
    assert.ok(received.size > 3, [...received].join());
  });

  test("a broker that ends between INFO and the first PONG costs the whole time of an attempt, as with nats.js", async () => {
    const rig = new Rig();
    const a = await rig.client("a", { timeoutMs: 2_000 });
    const from = rig.world.now();
    rig.network.resetLink(a.process);
    await rig.run(1);
    rig.network.setLink(a.process, { toBroker: { delayMs: 200 } });
    await rig.run(350);
    rig.network.resetLink(a.process);
    await rig.run(1_000);
    rig.network.setLink(a.process, { toBroker: { delayMs: 0.2 } });
    await rig.run(3_000);
    const times = a.seen.map((line) => Number(line.split(" ")[0]) - from);
    assert.deepEqual(a.texts, ["disconnect", "reconnecting", "disconnect", "reconnecting", "reconnect", "reconnect"]);
    assert.equal((times[3] as number) - (times[1] as number), 2_000);
  });

  test("a connection with more unread bytes than kernels hold stays until the broker reads, as with nats.js", async () => {
    const rig = new Rig();
    const a = await rig.client("a");
    rig.network.pauseBroker("b0");
    for (let i = 0; i < 12; i += 1) a.connection.publish("x", new Uint8Array(500_000));
    await rig.run(30_000);
    assert.deepEqual(a.texts, ["staleConnection"]);
    rig.network.resumeBroker("b0");
    await rig.run(1_000);
    assert.deepEqual(a.texts.slice(0, 2), ["staleConnection", "disconnect"]);
    assert.equal(a.texts.at(-1), "reconnect");
  });

  test("who waits for a stopped broker to answer hears its death", async () => {
    const rig = new Rig();
    const a = await rig.client("a", { timeoutMs: 60_000 });
    rig.network.pauseBroker("b0");
    rig.network.resetLink(a.process);
    await rig.run(1_000);
    assert.deepEqual(a.texts, ["disconnect", "reconnecting"]);
    rig.network.killBroker("b0");
    rig.network.startBroker("b0");
    await rig.run(1_000);
    assert.deepEqual(a.texts, ["disconnect", "reconnecting", "reconnecting", "reconnect"]);
  });

  test("a wall clock that is set back delays no reconnect", async () => {
    for (const brokers of [1, 3]) {
      const rig = new Rig({ brokers });
      const a = await rig.client("a");
      a.process.stepWallClock(-60_000);
      rig.network.resetLink(a.process);
      await rig.run(1_000);
      assert.equal(a.texts.at(-1), "reconnect");
    }
  });

  test("a member that leaves while the route is held is unknown to the other broker: its message is lost, and nobody is told", async () => {
    const rig = new Rig({ brokers: 2 });
    const [a, b] = [await rig.client("a", { servers: ["b0"] }), await rig.client("b", { servers: ["b1"] })];
    a.subscribe("in.*");
    b.subscribe("x", "g");
    await rig.run(10);
    rig.network.holdRoute("b0", "b1");
    void b.connection.close();
    await rig.run(10);
    a.publish("x", "", { reply: "in.1" });
    await rig.run(10);
    rig.network.releaseRoute("b0", "b1");
    await rig.run(10);
    a.publish("x", "", { reply: "in.2" });
    await rig.run(10);
    assert.deepEqual(a.texts, ["in.2 status 503"]);
  });

  test("a broker that stood still while another ended and began again finds it when it goes on, each hears the other's clients", async () => {
    const rig = new Rig({ brokers: 2 });
    const a = await rig.client("a", { servers: ["b0"] });
    rig.network.pauseBroker("b0");
    rig.network.killBroker("b1");
    await rig.run(100);
    rig.network.startBroker("b1");
    const b = await rig.client("b", { servers: ["b1"] });
    a.subscribe("x");
    b.subscribe("y");
    await rig.run(1_000);
    rig.network.resumeBroker("b0");
    await rig.run(10);
    b.publish("x", "to a");
    a.publish("y", "to b");
    await rig.run(10);
    assert.deepEqual([a.texts, b.texts], [["x to a"], ["y to b"]]);
  });
});

suite("the mesh's own parts on the model", () => {
  test("a bus moves from a lame duck to another broker, and nothing that it publishes is lost or doubled", async () => {
    const rig = new Rig({ brokers: 2 });
    const [a, b] = [await rig.client("a", { servers: ["b0"] }), await rig.client("b", { servers: ["b1"] })];
    const bus = new Bus(a.connection, {}, a.process.runtime);
    b.subscribe("x");
    await rig.run(10);
    rig.network.lameDuck("b0", { graceMs: 5_000 });
    for (let i = 0; i < 200; i += 1) {
      assert.ok(bus.publish("x", Buffer.from(String(i))));
      await rig.run(20);
    }
    assert.equal(a.connection.getServer(), "b1");
    assert.deepEqual(
      b.texts,
      Array.from({ length: 200 }, (_, i) => `x ${i}`),
    );
  });

  test("a request is answered, or rejected where nobody listens, or in time", async () => {
    const rig = new Rig();
    const a = await rig.client("a");
    rig.network.addStream("AUDIT", ["pool.>"]);
    a.subscribe("silent");
    const names = a.connection.request("$JS.API.STREAM.NAMES", JSON.stringify({ subject: "pool.*.job" }));
    const nobody = assert.rejects(a.connection.request("nobody"), { name: "RequestError" });
    const late = assert.rejects(a.connection.request("silent", "", { timeout: 500 }), { name: "TimeoutError" });
    await rig.run(1_000);
    assert.deepEqual((await names).json(), { streams: ["AUDIT"] });
    await Promise.all([nobody, late]);
  });

  test("a receiver has bytes of its own, and a publisher may use its own again", async () => {
    const rig = new Rig();
    const a = await rig.client("a");
    const got: Uint8Array[] = [];
    for (let i = 0; i < 2; i += 1) a.connection.subscribe("x", { callback: (_, msg) => void got.push(msg.data) });
    const bytes = Uint8Array.of(1, 2, 3);
    a.connection.publish("x", bytes);
    bytes.fill(9);
    await rig.run(10);
    got[0]?.fill(7);
    assert.deepEqual(
      got.map((each) => [...each]),
      [
        [7, 7, 7],
        [1, 2, 3],
      ],
    );
  });

  test("the same seed gives the same run, another seed another", async () => {
    const run = async (seed: number): Promise<string[]> => {
      const rig = new Rig({ seed, brokers: 2 });
      const clients = [await rig.client("a"), await rig.client("b"), await rig.client("c")];
      for (const each of clients) each.subscribe("x", "g");
      await rig.run(10);
      for (const each of clients) rig.network.setLink(each.process, { jitterMs: 20 });
      for (let i = 0; i < 50; i += 1) clients[i % 3]?.publish("x", String(i));
      rig.network.killBroker("b0");
      await rig.run(1_000);
      return clients.flatMap((each) => each.seen);
    };
    assert.deepEqual(await run(1), await run(1));
    assert.notDeepEqual(await run(1), await run(2));
  });
});

suite("subjects", () => {
  const tokens = ["a", "b", "ab", "*", ">"];
  const all = (depth: number): string[] =>
    depth === 0 ? [""] : [...tokens, ...all(depth - 1).flatMap((rest) => tokens.map((each) => `${each}.${rest}`))];
  const subjects = [...new Set(all(2))].filter((each) => each !== "" && !each.endsWith("."));
  const literal = subjects.filter((each) => !/[*>]/.test(each));

  /** The rule in the words of the NATS documentation, slowly. */
  function means(pattern: string, subject: string): boolean {
    const [wanted, given] = [pattern.split("."), subject.split(".")];
    if (wanted.at(-1) === ">") {
      const before = wanted.slice(0, -1);
      return given.length > before.length && before.every((each, i) => each === "*" || each === given[i]);
    }
    return wanted.length === given.length && wanted.every((each, i) => each === "*" || each === given[i]);
  }

  test("a pattern matches what the rule says, and interest finds whom it matches", () => {
    const interest = new Interest<{ subject: string; queue: undefined }>();
    for (const subject of subjects) interest.add({ subject, queue: undefined });
    for (const subject of literal) {
      const expected = subjects.filter((pattern) => means(pattern, subject)).sort();
      assert.deepEqual(subjects.filter((each) => new SubjectPattern(each).matches(subject)).sort(), expected);
      const found = interest.match(subject).flatMap((each) => each.plain.map((listed) => listed.subject));
      assert.deepEqual(found.sort(), expected, subject);
    }
  });

  test("two patterns overlap when some subject is meant by both", () => {
    for (const a of subjects) {
      for (const b of subjects) {
        const expected = literal.concat("b.b.b", "a.a.a").some((each) => means(a, each) && means(b, each));
        if (expected) assert.ok(new SubjectPattern(a).overlaps(new SubjectPattern(b)), `${a} and ${b}`);
      }
    }
    assert.equal(new SubjectPattern("a.*").overlaps(new SubjectPattern("b.>")), false);
  });
});
