/** Whom a manager asks for jobs whose ids are its own now. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MsgHdrs } from "nats";
import type { Answer, Inbox, Question } from "../../../../mesh/link/inbox.js";
import { GONE_AFTER_MS } from "../../../../mesh/link/presence.js";
import { encodeReplyHeaders, HEADER } from "../../../../mesh/wire/headers.js";
import { Subjects } from "../../../../mesh/wire/subjects.js";
import { type Reply, wireHeaders } from "../../../../mesh/wire/wire-headers.js";
import { ASKS_FOR_MS, EarlierOwners, encodeKnown } from "../../../../services/manager/owners/earlier-owners.js";
import { ManualRuntime } from "../../../support/core/manual-runtime.js";

describe("a manager that owns ids of others", () => {
  const reply = (headers: MsgHdrs): Answer => ({ kind: "reply", msg: { headers, data: new Uint8Array(0) } as Reply });
  const ANY = { upToAttempt: undefined, nonce: undefined };
  const said = { pool: "p", job: "mine", nonce: "n", attempt: 1 };

  function joins(answers: Record<string, Answer>, { atMs = 0, leaving = [], isThere = false }: Asked = {}) {
    const asked: string[] = [];
    const ask = async ({ subject, headers }: Question): Promise<Answer> => {
      asked.push(`${subject} ${headers?.get(HEADER.known)} ${headers?.get(HEADER.jobId)}`);
      return answers[subject.slice(subject.lastIndexOf(".") + 1)] ?? { kind: "absent" };
    };
    const runtime = new ManualRuntime();
    const earlier = new EarlierOwners({
      bus: { runtime },
      subjects: new Subjects(),
      manager: "m5",
      peers: {
        otherOwners: () => Object.keys(answers).filter((each) => !leaving.includes(each)),
        leaving: () => leaving,
        isThere: (manager) => isThere && manager in answers,
        onGone: (manager) => delete answers[manager],
      },
      inbox: () => ({ ask }) as unknown as Inbox,
    });
    runtime.stall(atMs);
    const ends: string[] = [];
    const hold = (): void =>
      earlier.hold({
        ...said,
        cameAtMs: 0,
        take: (refusal) => ends.push(refusal === undefined ? "taken" : refusal.reason),
        give: (managers) => ends.push(`given to ${managers.join(" or ")}`),
      });
    return { earlier, asked, ends, hold, runtime };
  }

  test("asks one again at whose subject nobody listens while its heartbeats come, and for 600 ms at most", async () => {
    const answers: Record<string, Answer> = { m1: { kind: "absent" } };
    const back = joins(answers, { isThere: true });
    back.hold();
    await back.runtime.advance(200);
    answers.m1 = reply(encodeKnown("m1"));
    await back.runtime.advance(100);
    assert.deepEqual(back.ends, ["given to m1"]);
    const gone = joins({ m1: { kind: "absent" } }, { isThere: true });
    gone.hold();
    await gone.runtime.advance(GONE_AFTER_MS - 100);
    assert.deepEqual([gone.ends, gone.earlier.size, gone.earlier.holds("p", "mine")], [[], 1, true]);
    await gone.runtime.advance(100);
    assert.deepEqual([gone.ends, gone.earlier.size], [["taken"], 0]);
  });

  test("asks all others, and gives the submission to the one that has its job", async () => {
    const { asked, ends, hold } = joins({
      m1: reply(encodeReplyHeaders({ kind: "error" })),
      m2: reply(encodeKnown("m2")),
    });
    hold();
    await turn();
    assert.deepEqual(ends, ["given to m2"]);
    assert.deepEqual(asked, ["pool.p.submit.m1 1 mine", "pool.p.submit.m2 1 mine"]);
  });

  test("of two managers that hold an id and ask each other one takes it; what is not given to the asker is taken here", async () => {
    const absent: Answer = { kind: "absent" };
    const has = reply(encodeKnown("m3"));
    const hasNot = reply(encodeReplyHeaders({ kind: "error" }));
    const { earlier, hold, runtime, ends } = joins({ m1: absent, m9: absent, m3: has, m4: hasNot }, { isThere: true });
    hold();
    await turn();
    const says = (asker: string): boolean => earlier.willTake("p", "mine", asker);
    const askers = { awaited: ["m1", "m9"], yes: ["m3"], no: ["m4"], notAsked: ["m7"], unnamed: [""] };
    const said = Object.entries(askers).map(([what, names]) => [what, ...names.map(says)]);
    assert.deepEqual(said, [
      ["awaited", false, true],
      ["yes", false],
      ["no", true],
      ["notAsked", true],
      ["unnamed", false],
    ]);
    await runtime.advance(GONE_AFTER_MS);
    assert.deepEqual([ends, says("m9")], [["given to m3"], false]);
  });

  test("takes a job that nobody has: who is gone, silent or says anything else does not count", async () => {
    const odd = wireHeaders();
    odd.append(HEADER.reply, "what?");
    const bare = reply(wireHeaders());
    const { ends, hold } = joins({ m1: { kind: "absent" }, m2: { kind: "silent" }, m3: reply(odd), m4: bare });
    hold();
    await turn();
    assert.deepEqual(ends, ["taken"]);
  });

  test("ends a submission that is canceled meanwhile, once", async () => {
    const { earlier, ends, hold } = joins({ m1: reply(encodeKnown("m1")) });
    hold();
    assert.equal(earlier.revoke("p", "another", ANY), false);
    assert.equal(earlier.revoke("p", "mine", ANY), true);
    await turn();
    assert.deepEqual(ends, ["canceled"]);
  });

  test("asks for ten minutes, and only while there are others", () => {
    assert.equal(joins({ m1: { kind: "absent" } }, { atMs: ASKS_FOR_MS - 1 }).earlier.mayBeElsewhere("p"), true);
    assert.equal(joins({ m1: { kind: "absent" } }, { atMs: ASKS_FOR_MS }).earlier.mayBeElsewhere("p"), false);
    assert.equal(joins({}).earlier.mayBeElsewhere("p"), false);
  });

  test("asks those that stop at any time, since their ids are its own from then on", async () => {
    const there = { m1: reply(encodeKnown("m1")), m2: reply(encodeKnown("m2")) };
    const { earlier, asked, ends, hold } = joins(there, { atMs: ASKS_FOR_MS, leaving: ["m2"] });
    assert.equal(earlier.mayBeElsewhere("p"), true);
    hold();
    await turn();
    assert.deepEqual([ends, asked], [["given to m2"], ["pool.p.submit.m2 1 mine"]]);
  });
});

interface Asked {
  readonly atMs?: number;
  /** Those that stop. */
  readonly leaving?: string[];
  /** Whether the heartbeats of the others come. */
  readonly isThere?: boolean;
}

/** What is settled now has been heard after this. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
