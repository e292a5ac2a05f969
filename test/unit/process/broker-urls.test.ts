import assert from "node:assert/strict";
import { test } from "node:test";
import { hintLines, readyJson } from "../../../cli/up/ready-line.js";
import { PoolError } from "../../../mesh/errors.js";
import { Bus } from "../../../mesh/link/bus.js";
import { parseBrokerUrl, redactUrls, splitBrokerUrls } from "../../../mesh/process/broker-urls.js";
import { readConfig } from "../../../mesh/process/config.js";
import type { Logger } from "../../../mesh/process/log.js";
import { OPTIONS, pick } from "../../../mesh/process/options.js";
import { seededRandom } from "../../support/random.js";

const SPECS = pick(["servers"]);
const ALPHABET = [
  ..."/@:?#[]%&=+,;!$'()*\\\"<>{}|^`~ \t._-ab9",
  "nats://",
  "//",
  "@@",
  "%2F",
  "%",
  "é",
  "\u0000",
  "\n",
];

/** Passwords that a careless pattern would let through; each contains a word that nothing else does. */
function hostilePasswords(count: number): string[] {
  const random = seededRandom(7);
  const any = (): string => ALPHABET[Math.floor(random() * ALPHABET.length)] as string;
  return Array.from({ length: count }, (_, i) => {
    const around = Array.from({ length: 1 + Math.floor(random() * 8) }, any);
    around.splice(Math.floor(random() * around.length), 0, `hunter${i}x`);
    return around.join("");
  });
}

test("broker URLs - user, password and token are percent-decoded; the last @ ends them", () => {
  const cases: [url: string, address: string, credential: unknown, tls?: boolean][] = [
    ["nats://h", "h:4222", undefined],
    ["h:1", "h:1", undefined],
    ["tls://H.example:4443/", "h.example:4443", undefined, true],
    ["nats://u:p@h:1", "h:1", { user: "u", password: "p" }],
    ["nats://bob:pa/ss@h", "h:4222", { user: "bob", password: "pa/ss" }],
    ["nats://bob:p@ss:w?rd#@h", "h:4222", { user: "bob", password: "p@ss:w?rd#" }],
    ["nats://b%40b:%2F%2C%25%C3%A9@h", "h:4222", { user: "b@b", password: "/,%é" }],
    ["nats://s3cr%3At@[::1]:5", "[::1]:5", { token: "s3cr:t" }],
    ["u:p@h", "h:4222", { user: "u", password: "p" }],
    ["nats://u:@h", "h:4222", { user: "u", password: "" }],
    ["nats://@h", "h:4222", undefined],
  ];
  for (const [url, address, credential, tls = false] of cases) {
    assert.deepEqual(parseBrokerUrl(url), { address, tls, credential }, url);
  }
});

test("broker URLs - a list is split at its commas, and refused where a comma may belong to a secret", () => {
  assert.deepEqual(splitBrokerUrls("nats://u:p@a:1, tls://t@b,c:2"), ["nats://u:p@a:1", "tls://t@b", "c:2"]);
  for (const list of ["nats://bob:pa,ss@h", "a:1,u:p@b", "nats://u:p@a,v:q@b"]) {
    assert.throws(() => splitBrokerUrls(list), /%2C/, list);
  }
});

test("broker URLs - what is no broker is refused, and the refusal shows nothing of it", () => {
  for (const url of [
    "",
    "http://h",
    "ws://h",
    "nats://",
    "nats://h:0",
    "nats://h:99999",
    "nats://bob:hunter2",
    "h/x",
  ]) {
    assert.throws(() => parseBrokerUrl(url), { reason: "invalid_argument", field: "servers" }, url);
  }
  assert.throws(
    () => parseBrokerUrl("nats://bob:hunter2%zz@h"),
    (error: PoolError) => /%25/.test(error.message) && !error.message.includes("hunter2"),
  );
});

test("broker URLs - nothing before the last @ is shown, whatever a password consists of", () => {
  for (const password of hostilePasswords(2_000)) {
    const word = /hunter\d+x/.exec(password)?.[0] as string;
    for (const url of [`nats://bob:${password}@h:1`, `tls://${password}@h:1`, `bob:${password}@h:1`]) {
      const [shown = ""] = redactUrls([url]);
      assert.ok(/^(nats:\/\/|tls:\/\/)?h:1$/.test(shown), JSON.stringify([url, shown]));
      assert.ok(!refusal(url).includes(word), JSON.stringify(url));
    }
  }
});

test("broker URLs - one whose @ is encoded, or that has no host, shows nothing of its password", () => {
  for (const url of [
    "nats://bob:hunter2%40h:1",
    "nats://bob:hunter2",
    "bob:hunter2",
    "tls://bob:hunter2/",
    "nats://bob:hun/hunter2",
    "nats://bob hunter2",
    "nats://bob:1:hunter2",
  ]) {
    assert.doesNotMatch(redactUrls([url])[0] ?? "", /hunter/, url);
    assert.doesNotMatch(refusal(url), /hunter/, url);
  }
  for (const url of ["nats://h:99999", "http://h:1", "nats://h:0", "nats://[::1]:4222", "nats://", ""]) {
    assert.deepEqual(redactUrls([url]), [url]);
  }
});

test("broker URLs - no error, log line or ready line of a program shows a password", async () => {
  const lines: string[] = [];
  const note = (...line: unknown[]): number => lines.push(JSON.stringify(line));
  const log = { info: note, warn: note, error: note, debug: note } as unknown as Logger;
  for (const password of hostilePasswords(60)) {
    const url = `nats://bob:${password}@127.0.0.1:1`;
    const options = { log, waitOnFirstConnect: false };
    const error = await Bus.connect({ ...options, servers: [url] }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof PoolError, url);
    lines.push(error.message, ...readyTexts(url));
  }
  const encoded = `nats://bob:${encodeURIComponent("hunter/x@,%")}@127.0.0.1:1`;
  await Bus.connect({ servers: `${encoded},${encoded}`, waitOnFirstConnect: false, log }).catch(note);
  assert.doesNotMatch(lines.join("\n"), /hunter/);
});

function refusal(servers: string): string {
  try {
    readConfig(SPECS, { POOLMESH_SERVERS: servers }, {}, OPTIONS);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

/** What `poolmesh up` prints about a broker that it did not start. */
function readyTexts(nats: string): string[] {
  const urls = { nats, manager: "http://127.0.0.1:1", meter: "http://127.0.0.1:2" };
  const facts = { urls, pids: { manager: 1, meter: 2, workers: [] }, workerIds: [], pool: undefined, slots: 1 };
  try {
    return [readyJson(facts), ...hintLines(facts, { hasPolicy: false })];
  } catch {
    // A list that is refused by up's own configuration before anything is printed.
    return [];
  }
}
