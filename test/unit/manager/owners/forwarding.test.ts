/** How a submission comes to the manager that owns its id. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Answer, Inbox, Question } from "../../../../mesh/link/inbox.js";
import { GONE_AFTER_MS } from "../../../../mesh/link/presence.js";
import { encodeReplyHeaders, HEADER } from "../../../../mesh/wire/headers.js";
import { Subjects } from "../../../../mesh/wire/subjects.js";
import type { HeaderReader, Reply } from "../../../../mesh/wire/wire-headers.js";
import type { Heard } from "../../../../services/manager/doors/nats.js";
import { Forwarding, passOn } from "../../../../services/manager/owners/forwarding.js";
import type { Peers } from "../../../../services/manager/owners/peers.js";
import { ManualRuntime } from "../../../support/core/manual-runtime.js";

describe("passing on", () => {
  /** Passes a submission on, whose owner answers each time with the next of `answers`, and with the last one from then on. */
  function passes(answers: readonly Answer["kind"][], { headers, farewellAfterMs, answer = WORD }: PassedOn = {}) {
    const runtime = new ManualRuntime();
    const asked: Question[] = [];
    const ask = async (question: Question): Promise<Answer> => {
      asked.push(question);
      const kind = answers[Math.min(asked.length, answers.length) - 1];
      return { kind, msg: answer } as Answer;
    };
    const heard = { msg: { subject: "pool.p.submit", data: new Uint8Array(1) }, headers, reply: "_INBOX.a.b" };
    const isMeant = (): boolean => runtime.now() < (farewellAfterMs ?? Number.POSITIVE_INFINITY);
    const parts = { inbox: { ask }, runtime, subject: "pool.p.submit.m2", isMeant };
    return { runtime, asked, end: passOn(parts, heard) };
  }

  test("a submission with half of a line break in a header is passed on without that header", async () => {
    const said: [string, string[]][] = [
      ["X-Odd", ["a\rb"]],
      [HEADER.jobId, ["mine"]],
    ];
    const headers = Object.assign(said, { get: () => "", code: 0 }) as unknown as HeaderReader;
    const { asked, end } = passes(["reply"], { headers });
    assert.equal(await end, "taken");
    assert.deepEqual(
      [...(asked[0]?.headers ?? [])],
      [
        [HEADER.jobId, ["mine"]],
        [HEADER.replyTo, ["_INBOX.a.b"]],
        [HEADER.mayRefuse, ["1"]],
      ],
    );
  });

  test("an owner that reconnects gets the submission: nobody else takes it meanwhile", async () => {
    const { runtime, asked, end } = passes(["absent", "absent", "reply"]);
    await runtime.advance(200);
    assert.equal(await end, "taken");
    assert.equal(asked.length, 3);
  });

  test("an owner at whose subject nobody listens for 600 ms is gone, and one that says farewell is at once", async () => {
    const killed = passes(["absent"]);
    await killed.runtime.advance(GONE_AFTER_MS);
    assert.equal(await killed.end, "gone");
    assert.equal(killed.runtime.now(), GONE_AFTER_MS);
    const left = passes(["absent"], { farewellAfterMs: 50 });
    await left.runtime.advance(100);
    assert.equal(await left.end, "gone");
  });

  test("an owner that stops refuses what is new; one that says nothing may have got it", async () => {
    const headers = encodeReplyHeaders({ kind: "error" });
    const answer = { headers, data: Buffer.from("draining") } as Reply;
    assert.equal(await passes(["reply"], { answer }).end, "refused");
    assert.equal(await passes(["silent"]).end, "taken");
  });

  test("only the owner's word counts: a stranger's text on the same reply subject is none", async () => {
    const { asked } = passes(["reply"]);
    const isWord = (text: string): boolean | undefined => asked[0]?.isAnswer?.({ data: Buffer.from(text) } as Reply);
    assert.deepEqual([isWord(""), isWord("hello")], [true, false]);
  });
});

/** The owner has it. */
const WORD = { headers: undefined, data: new Uint8Array(0) } as Reply;

interface PassedOn {
  readonly headers?: HeaderReader;
  /** What the owner says. */
  readonly answer?: Reply;
  /** When the owner says that it leaves, in milliseconds; default never. */
  readonly farewellAfterMs?: number;
}

describe("forwarding", () => {
  const word = (refuses: boolean): Answer => {
    const headers = refuses ? encodeReplyHeaders({ kind: "error" }) : undefined;
    return { kind: "reply", msg: { headers, data: Buffer.from(refuses ? "draining" : "") } as Reply };
  };
  const said: [string, string[]][] = [[HEADER.jobId, ["mine"]]];
  const headers = Object.assign(said, { get: (name: string) => (name === HEADER.jobId ? "mine" : "") });
  const heard = { msg: { subject: "pool.p.submit", data: new Uint8Array(1) }, headers, reply: "_INBOX.a.b" } as unknown;

  /** @param owners the managers that may own the id, the first of them first */
  function forwards(answers: Record<string, Answer>, owners: string[] = []) {
    const log: string[] = [];
    const drop = (manager: string): void => void owners.splice(owners.indexOf(manager), 1);
    const forwarding = new Forwarding({
      bus: { runtime: new ManualRuntime() },
      subjects: new Subjects(),
      manager: "self",
      peers: {
        ownerOf: () => owners[0] ?? "self",
        onLeaving: drop,
        onGone: drop,
        isThere: () => false,
      } as unknown as Peers,
      inbox: () =>
        ({
          ask: async ({ subject, headers: sent }: Question): Promise<Answer> => {
            const manager = subject.slice(subject.lastIndexOf(".") + 1);
            log.push(`${manager}, may refuse: ${sent?.get(HEADER.mayRefuse)}`);
            return answers[manager] ?? { kind: "silent" };
          },
        }) as unknown as Inbox,
      takeOwn: () => log.push("taken as owner"),
      take: () => log.push("taken"),
    });
    return { forwarding, log };
  }

  test("what an owner that stops refuses goes to the next owner, and at last to this manager", async () => {
    const { forwarding, log } = forwards({ m1: word(true), m2: word(true) }, ["m1", "m2"]);
    await forwarding.passOn(heard as Heard, "m1");
    assert.deepEqual(log, ["m1, may refuse: 1", "m2, may refuse: 1", "taken as owner"]);
    const kept = forwards({ m1: word(true), m2: word(false) }, ["m1", "m2"]);
    await kept.forwarding.passOn(heard as Heard, "m1");
    assert.deepEqual(kept.log, ["m1, may refuse: 1", "m2, may refuse: 1"]);
  });

  test("of those that have had an id each is asked in turn, and when none joins it the job is taken here, once", async () => {
    const { forwarding, log } = forwards({ m1: word(true), m2: word(false) });
    await forwarding.give(heard as Heard, ["m1", "m2", "m3"]);
    assert.deepEqual(log, ["m1, may refuse: 1", "m2, may refuse: 1"]);
    const none = forwards({ m1: word(true), m2: word(true) });
    const given = none.forwarding.give(heard as Heard, ["m1", "m2"]);
    assert.equal(none.forwarding.underWay, 1);
    await given;
    assert.deepEqual([none.log.at(-1), none.log.length, none.forwarding.underWay], ["taken", 3, 0]);
  });
});
