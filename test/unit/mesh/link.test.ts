/** The link: questions, presence, confirmation, on a clock that the test moves. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { headers, type Msg } from "nats";
import { ReconnectDelays } from "../../../mesh/link/broker/reconnect-delays.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { Confirmer, type UnconfirmedStore } from "../../../mesh/link/delivery.js";
import { type Answer, Inbox } from "../../../mesh/link/inbox.js";
import { GONE_AFTER_MS, PROBE_AFTER_MS, Presence, STABLE_AFTER_MS } from "../../../mesh/link/presence.js";
import { ReplyRouter } from "../../../mesh/link/reply-router.js";
import { afterSilence, listen, systemRuntime } from "../../../mesh/link/runtime.js";
import { cleanUp } from "../../support/clean-up.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";
import { gate } from "../../support/wait.js";

/** A bus that hears what the test says. */
class FakeBus {
  readonly runtime = new ManualRuntime();
  readonly inboxPrefix = "_INBOX";
  readonly published: { subject: string; reply: string }[] = [];
  connected = true;
  handingOver = false;
  lameDuck = false;
  trips: ReturnType<typeof gate<boolean>>[] = [];
  #callback: (msg: Msg) => void = () => {};
  #onReconnect: () => void = () => {};

  newInbox(): string {
    return `${this.inboxPrefix}.bus.1.`;
  }

  subscribe(_subject: string, callback: (msg: Msg) => void) {
    this.#callback = callback;
    return { unsubscribe: () => {} };
  }

  publish(subject: string, _payload?: Uint8Array, options: { reply?: string } = {}): boolean {
    this.published.push({ subject, reply: options.reply ?? "" });
    return true;
  }

  flush(): Promise<boolean> {
    const trip = gate<boolean>();
    this.trips.push(trip);
    return trip.promise;
  }

  on(_event: string, listener: () => void): () => void {
    this.#onReconnect = listener;
    return () => {};
  }

  reconnect(): void {
    this.#onReconnect();
  }

  /** A reply to the question that was published last, or to `subject`. */
  reply(what: "text" | "nobody" | "acknowledgement", subject = this.published.at(-1)?.reply ?? ""): void {
    const nobody = headers(503, "No Responders");
    const texts = { text: "here", nobody: "", acknowledgement: '{"stream":"AUDIT","seq":7}' };
    const msg = {
      subject,
      data: Buffer.from(texts[what]),
      headers: what === "nobody" ? nobody : undefined,
    };
    this.#callback(msg as unknown as Msg);
  }

  get bus(): Bus {
    return this as unknown as Bus;
  }
}

test("ask - a question ends with the first reply, with nobody there, or with silence at its limit, and leaves nothing", async () => {
  const fake = new FakeBus();
  const inbox = new Inbox(fake.bus);
  const kinds: Answer["kind"][] = [];
  const ask = (): void => void inbox.ask({ subject: "s", limitMs: 100 }).then(({ kind }) => kinds.push(kind));
  ask();
  fake.reply("text");
  fake.reply("text");
  ask();
  fake.reply("nobody");
  ask();
  await fake.runtime.advance(99);
  assert.deepEqual(kinds, ["reply", "absent"]);
  await fake.runtime.advance(1);
  assert.deepEqual([kinds, inbox.size, fake.runtime.timers], [["reply", "absent", "silent"], 0, 0]);
});

test("ask - a question may be asked again until somebody answers; that nobody listens tells something the first time only", async () => {
  const fake = new FakeBus();
  const inbox = new Inbox(fake.bus);
  const kinds: Answer["kind"][] = [];
  const ask = (): void =>
    void inbox.ask({ subject: "s", limitMs: 100, againMs: 30 }).then(({ kind }) => kinds.push(kind));
  ask();
  fake.reply("nobody");
  await fake.runtime.advance(0);
  assert.deepEqual([kinds, fake.published.length], [["absent"], 1]);
  ask();
  await fake.runtime.advance(60);
  fake.reply("nobody");
  await fake.runtime.advance(30);
  assert.deepEqual([kinds, fake.published.length], [["absent"], 5], "who is gone now may have got it before");
  fake.reply("text");
  ask();
  await fake.runtime.advance(100);
  assert.deepEqual([kinds, inbox.size, fake.runtime.timers], [["absent", "reply", "silent"], 0, 0]);
});

test("ask - a stream that captures the subject acknowledges a question, and answers nothing", async () => {
  const fake = new FakeBus();
  const inbox = new Inbox(fake.bus);
  const heard: string[] = [];
  const hear = (answer: Answer): void => void heard.push(answer.kind === "reply" ? `${answer.msg.data}` : answer.kind);
  void inbox.ask({ subject: "s", limitMs: 100 }).then(hear);
  fake.reply("acknowledgement");
  fake.reply("text");
  void inbox.ask({ subject: "s", limitMs: 100 }).then(hear);
  fake.reply("acknowledgement");
  void inbox.askAll({ subject: "s", limitMs: 100 }, ({ data }) => heard.push(`all: ${data}`));
  fake.reply("acknowledgement");
  fake.reply("text");
  await fake.runtime.advance(100);
  assert.deepEqual(heard, ["all: here", "here", "silent"]);
});

test("listen - a time in which the process stood still counts for 50 ms at the most", async () => {
  const runtime = new ManualRuntime();
  let isOver = false;
  void listen(runtime, 400).then(() => (isOver = true));
  await runtime.advance(100);
  runtime.stall(10_000);
  await runtime.advance(249);
  assert.equal(isOver, false);
  await runtime.advance(1);
  assert.equal(isOver, true);
});

test("silence - what came while the process stood still is read before anybody is said to be silent", async (t) => {
  const order: string[] = [];
  const server = createServer();
  cleanUp(t, () => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  cleanUp(t, () => void socket.destroy());
  socket.on("data", () => order.push("word"));
  const [sender] = (await once(server, "connection")) as [Socket];
  await new Promise<void>((resolve) => {
    afterSilence(systemRuntime, 5, () => {
      order.push("silence");
      resolve();
    });
    sender.end("word");
    for (const endMs = performance.now() + 50; performance.now() < endMs; );
  });
  assert.deepEqual(order, ["word", "silence"]);
});

test("ask - a caller that gives up is not kept waiting", async () => {
  const fake = new FakeBus();
  const inbox = new Inbox(fake.bus);
  const giveUp = new AbortController();
  const answer = inbox.ask({ subject: "s", limitMs: 1_000, signal: giveUp.signal });
  giveUp.abort();
  assert.equal((await answer).kind, "silent");
  assert.equal(inbox.size, 0);
});

test("reply router - a correlation id is never mistaken for an earlier one that had its slot", () => {
  const fake = new FakeBus();
  const heard: string[] = [];
  let strays = 0;
  const router = new ReplyRouter<string>(fake.bus, {
    onReply: (entry) => heard.push(entry),
    onStray: () => {
      strays += 1;
    },
  });
  const first = router.open("first");
  router.close(first);
  const second = router.open("second");
  router.close(first);
  fake.reply("text", router.subject(first));
  fake.reply("text", router.subject(second));
  assert.deepEqual([heard, strays, router.size], [["second"], 1, 1]);
  for (const odd of ["", "_", "zzzzzzzz", "bundle", "-1_2"]) fake.reply("text", router.subject(odd));
  assert.equal(strays, 6);
});

function presence(fake: FakeBus) {
  const gone: string[] = [];
  const present: number[] = [];
  const probe = new Presence({
    bus: fake.bus,
    inbox: new Inbox(fake.bus),
    question: (id) => ({ subject: `is.${id}.there` }),
    onPresent: (_id, _reply, roundTripMs) => present.push(roundTripMs),
    onGone: (id) => gone.push(id),
  });
  const check = (silentMs: number): void => probe.check("w", silentMs, fake.runtime.now());
  return { probe, gone, present, check };
}

test("presence - nobody at its subject at every probe of 600 ms means that it is gone; a part that is back sooner is not", async () => {
  for (const backAfterMs of [450, Number.POSITIVE_INFINITY]) {
    const fake = new FakeBus();
    const { gone, check } = presence(fake);
    check(PROBE_AFTER_MS - 1);
    assert.equal(fake.published.length, 0);
    for (let ms = 0; ms <= GONE_AFTER_MS; ms += 50) {
      const probes = fake.published.length;
      check(1_000);
      if (fake.published.length > probes) fake.reply(ms < backAfterMs ? "nobody" : "text");
      await fake.runtime.advance(50);
    }
    assert.deepEqual(gone, backAfterMs === 450 ? [] : ["w"]);
    assert.ok(fake.published.length >= 4 && fake.published.length <= 8, `${fake.published.length} probes`);
  }
});

test("presence - a broker that stands still between two probes makes nobody gone, who is there soon after it", async () => {
  for (const stoodStillMs of [600, 5_000]) {
    const fake = new FakeBus();
    const { gone, check } = presence(fake);
    check(1_000);
    fake.reply("nobody");
    for (let ms = 0; ms < stoodStillMs; ms += 50) {
      await fake.runtime.advance(50);
      check(1_000);
    }
    fake.reply("nobody");
    await fake.runtime.advance(PROBE_AFTER_MS);
    check(1_000);
    fake.reply("text");
    await fake.runtime.turn();
    assert.deepEqual(gone, [], `${stoodStillMs} ms`);
  }
});

test("presence - any answer is a sign of life, and no answer decides nothing", async () => {
  const fake = new FakeBus();
  const { gone, present, check } = presence(fake);
  check(PROBE_AFTER_MS);
  fake.reply("nobody");
  await fake.runtime.advance(PROBE_AFTER_MS);
  check(1_000);
  await fake.runtime.advance(7);
  fake.reply("text");
  await fake.runtime.turn();
  assert.deepEqual(present, [7]);
  for (let i = 0; i < 5; i += 1) {
    check(1_000);
    await fake.runtime.advance(1_000);
  }
  assert.deepEqual(gone, []);
});

test("presence - nobody is judged by one who cannot judge: in a handover, at a broker that leaves, or back for less than 3 s", async () => {
  for (const why of ["handingOver", "lameDuck", "reconnected"] as const) {
    const fake = new FakeBus();
    const { probe, gone, check } = presence(fake);
    if (why === "reconnected") probe.onReconnect(fake.runtime.now());
    else fake[why] = true;
    assert.equal(probe.mayJudge(fake.runtime.now()), false, why);
    for (let i = 0; i < 8; i += 1) {
      check(1_000);
      fake.reply("nobody");
      await fake.runtime.advance(PROBE_AFTER_MS);
    }
    assert.deepEqual(gone, [], why);
    fake.handingOver = false;
    fake.lameDuck = false;
    await fake.runtime.advance(STABLE_AFTER_MS);
    assert.equal(probe.mayJudge(fake.runtime.now()), true, why);
  }
});

class Store implements UnconfirmedStore {
  seq = 0;
  confirmed = 0;
  again = 0;
  get unconfirmed(): number {
    return this.seq - this.confirmed;
  }
  confirm(seq: number): void {
    this.confirmed = seq;
  }
  publishAgain(): void {
    this.again += 1;
  }
}

test("confirmer - a round trip confirms what was published before it began, and not what came after", async () => {
  const fake = new FakeBus();
  const store = new Store();
  const confirmer = new Confirmer(fake.bus, store);
  store.seq = 1;
  confirmer.published();
  await fake.runtime.advance(50);
  store.seq = 2;
  confirmer.published();
  fake.trips[0]?.open(true);
  await fake.runtime.turn();
  assert.equal(store.confirmed, 1);
  await fake.runtime.advance(50);
  fake.trips[1]?.open(true);
  await fake.runtime.turn();
  assert.deepEqual([store.confirmed, fake.runtime.timers], [2, 0]);
  confirmer.stop();
});

test("confirmer - a failed round trip confirms nothing, and a reconnect publishes again what is unconfirmed", async () => {
  const fake = new FakeBus();
  const store = new Store();
  const confirmer = new Confirmer(fake.bus, store);
  store.seq = 3;
  confirmer.published();
  await fake.runtime.advance(50);
  fake.trips[0]?.open(false);
  await fake.runtime.turn();
  fake.reconnect();
  assert.deepEqual([store.confirmed, store.again, fake.trips.length], [0, 1, 2]);
  fake.trips[1]?.open(true);
  await fake.runtime.turn();
  assert.equal(store.confirmed, 3);
  confirmer.stop();
});

test("reconnect - tries are quick for a second of an outage, however often the NATS client asks, and slower after it", () => {
  let nowMs = 10_000;
  const clock = { now: () => nowMs, wallNow: () => nowMs, random: () => 0.5 };
  const delays = new ReconnectDelays(clock);
  const ask = (times: number): number[] => Array.from({ length: times }, () => delays.next());
  assert.deepEqual(new Set(ask(100)), new Set([50]));
  for (let i = 0; i < 4; i += 1) {
    nowMs += 250;
    assert.deepEqual(new Set(ask(100)), new Set([50]));
  }
  nowMs += 1;
  assert.deepEqual(new Set(ask(100)), new Set([200]));
  nowMs += 300;
  assert.deepEqual(ask(1), [200], "the longest wait between two tries");
  nowMs += 501;
  assert.deepEqual(ask(1), [50], "another outage, half a second after the connection was made");
});

test("reconnect - a broker that is avoided is not tried first: its last try is not long enough ago", () => {
  let nowMs = 1_000;
  const clock = { now: () => nowMs, wallNow: () => nowMs, random: () => 0.5 };
  const delays = new ReconnectDelays(clock);
  delays.next();
  const triedAtMs = nowMs;
  nowMs += 60_000;
  delays.avoidLast();
  assert.equal(triedAtMs + delays.next(), nowMs + 20);
  assert.equal(delays.next(), 50, "the next ones are tried as ever");
});
