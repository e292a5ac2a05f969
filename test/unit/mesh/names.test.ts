import assert from "node:assert/strict";
import { test } from "node:test";
import { checkName, isAnswerable, isName, Subjects } from "../../../mesh/wire/subjects.js";
import { seededRandom } from "../../support/random.js";

const BAD = [
  "",
  ".",
  "*",
  ">",
  "a b",
  "a\tb",
  "a.b",
  "a*",
  ">x",
  "-a",
  "_a",
  "\r\nPUB x 0\r\n",
  "a\r\n",
  "a\u0000",
  "a\u200bb",
  "ä",
  "$JS",
  "a".repeat(64),
];
const GOOD = ["a", "A9", "0", "a-b_c", "a".repeat(63)];

test("names - letters, digits, _ and -, beginning with a letter or digit, at most 63", () => {
  for (const name of GOOD) assert.equal(checkName("pool", name), name);
  for (const name of [...BAD, null, undefined, 7, {}, ["a"]]) {
    assert.throws(() => checkName("worker", name), { reason: "invalid_argument", field: "worker" });
  }
});

test("names - the refusal never repeats the name", () => {
  for (const name of BAD.filter((each) => each.length > 2)) {
    try {
      checkName("job", name);
      assert.fail("refused");
    } catch (error) {
      assert.ok(!(error as Error).message.includes(name));
    }
  }
});

test("names - no generated text that is accepted can change a subject's shape", () => {
  const random = seededRandom(1);
  const alphabet = ["a", "B", "7", "-", "_", ".", "*", ">", " ", "\t", "\r", "\n", "\u0000", "é", "\u200b", "$"];
  let accepted = 0;
  for (let i = 0; i < 20_000; i += 1) {
    const length = Math.floor(random() * 8);
    const text = Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join("");
    if (!isName(text)) continue;
    accepted += 1;
    const subject = new Subjects().jobFor(text, text);
    assert.deepEqual(subject.split("."), ["pool", text, "job", text]);
    assert.match(subject, /^[\x21-\x7e]+$/);
    assert.doesNotMatch(subject, /[*>]/);
  }
  assert.ok(accepted > 100);
});

test("subjects - are taken apart as they were put together, for a longer prefix too", () => {
  const subjects = new Subjects("acme.jobs");
  const subject = subjects.heartbeat("adder", "w-1");
  assert.equal(subject, "acme.jobs.adder.heartbeat.w-1");
  assert.equal(subjects.poolOf(subject), "adder");
  assert.equal(subjects.lastOf(subject), "w-1");
  assert.equal(subjects.every.heartbeat(), "acme.jobs.*.heartbeat.*");
  for (const prefix of ["", "a b", "a..b", "*", "a.b.c.d.e", "a\r\n"]) {
    assert.throws(() => new Subjects(prefix), { reason: "invalid_argument", field: "prefix" });
  }
});

test("subjects - only inboxes are answered", () => {
  for (const reply of ["_INBOX.abc.1", "_R_.x"]) assert.ok(isAnswerable(reply));
  assert.ok(isAnswerable("_ACME.abc", "_ACME"));
  for (const reply of ["", undefined, "$JS.API.STREAM.DELETE.x", "pool.a.heartbeat.b", "_INBOXX.a", "_ACMEE.a"]) {
    assert.ok(!isAnswerable(reply, "_ACME"), String(reply));
  }
});
