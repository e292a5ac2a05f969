import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { MAX_MESSAGE_LENGTH, safeMessage } from "../../../mesh/safe-message.js";

test("safe message - it is one bounded line of printable text", () => {
  assert.equal(safeMessage("a\r\nb\u0000c\u2028d"), "a b c d");
  assert.equal(safeMessage("x".repeat(10_000)).length, MAX_MESSAGE_LENGTH);
  assert.doesNotMatch(safeMessage(`${"x".repeat(MAX_MESSAGE_LENGTH - 2)}😀😀`), /\p{Surrogate}/u);
});

test("safe message - paths of this machine are hidden, in quotes and with blanks too", () => {
  const table: [string, string][] = [
    ["ENOENT: /home/someone/secret/file.ts:12:3", "ENOENT: …"],
    ["ENOENT: no such file, open '/home/some one/secret file.ts'", "ENOENT: no such file, open '…'"],
    ["Cannot find module '/srv/böb/x.js' (imported)", "Cannot find module '…' (imported)"],
    ["at file:///usr/share/app/x.js:3:4 and (/var/lib/y)", "at … and (…)"],
    ["config=/etc/app/secret.json", "config=…"],
    ["C:\\Users\\bob\\x.ts is missing", "… is missing"],
    ["see \\\\server\\share\\x", "see …"],
    ["imported from file:///C:/Users/bob/x.ts", "imported from …"],
  ];
  for (const [text, safe] of table) assert.equal(safeMessage(text), safe);
  for (const folder of readdirSync("/").filter((each) => /^[a-z]+$/.test(each))) {
    assert.equal(safeMessage(`cannot read /${folder}/somebody/file`), "cannot read …", folder);
  }
});

test("safe message - what only looks like a path stays", () => {
  for (const text of [
    "https://api.example.com/v1/users/7 answered 503",
    "see https://example.com/usr/share/a?next=/home/x#y",
    "due 2026/11/24, 12/31/26",
    "a/b/c and ./x/y and ../z/w",
    "GET /media/photos/7 answered 404",
    "application/json; text/html",
    "1/2 of 3/4",
    "/v1/users/7 is not known",
    "the regex \\d+/\\w+ fails",
  ]) {
    assert.equal(safeMessage(text), text);
  }
});

test("safe message - user and password of a URL are hidden, whatever they hold", () => {
  for (const url of [
    "nats://bob:hunter2@host:4222",
    "nats://hunter2@host:4222",
    "nats://bob:hun/ter2@host:4222",
    "https://u:hunter2/@a.example.com/x",
  ]) {
    assert.doesNotMatch(safeMessage(`cannot reach ${url} now`), /hun.?ter2|bob/);
    assert.match(safeMessage(`cannot reach ${url} now`), /^cannot reach (nats|https):\/\/…@\S+ now$/);
  }
  const kept = "http://[::1]:80/users/bob@example.com";
  assert.equal(safeMessage(kept), kept);
});

test("safe message - what is safe stays as it is", () => {
  for (const text of ["open '/home/a/b'", "nats://a:b@h/x", "/tmp/a/b", "y".repeat(1_000)]) {
    assert.equal(safeMessage(safeMessage(text)), safeMessage(text));
  }
});
