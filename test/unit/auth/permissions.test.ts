/** The table of rights: pure data, its forms, and the document that is made from it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { covers, isAllowed } from "../../../cli/rights/covers.js";
import { confPermissions, confUser, flagsOf, jwtPermissions, nscCommand } from "../../../cli/rights/formats.js";
import { type Holder, ROLES } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { packageRoot } from "../../../mesh/process/identity.js";
import { rightsIn, rightsMarkdown } from "../../../scripts/permissions-doc.js";
import { runInShell } from "../../support/docs/fake-shell.js";

const worker = rightsOf({ role: "worker", pools: ["adder"], name: "w1" });

test("permissions - docs/permissions.md has the sets of the table", () => {
  const document = readFileSync(join(packageRoot(), "docs/permissions.md"), "utf8");
  assert.equal(rightsIn(document), rightsMarkdown(), "node --import tsx scripts/permissions-doc.ts --write");
});

test("permissions - no right of a pool's holder reaches another pool, and none is wider than its mesh", () => {
  for (const role of ROLES) {
    const rights = rightsOf({ role, pools: ["a"], name: "n", prefix: "my.mesh" });
    for (const { subject } of [...rights.publish, ...rights.subscribe]) {
      assert.match(
        subject,
        /^(my\.mesh\.(a\.|_\.jobs$)|_INBOX\.[a-z]+\.|\$SRV\.|\$JS\.API\.STREAM\.NAMES$|\$SYS\.REQ\.USER\.INFO$)/,
      );
    }
  }
});

test("permissions - for named pools the durable lane reaches the mesh's own streams only, and no other pool's jobs", () => {
  const streams =
    /^\$JS\.(ACK(\.\*\.\*)?|EVENT\.ADVISORY\.CONSUMER\.PAUSE|API\.(DIRECT|STREAM|CONSUMER)(\.[A-Z]+)+)\.my=mesh-(jobs-a|later-a|outcomes|dead|claims|limits|batches)(\.|$)/;
  for (const role of ROLES) {
    const holder = { role, pools: ["a"], name: "n", prefix: "my.mesh" };
    const [base, more] = [rightsOf(holder), rightsOf({ ...holder, durable: true })];
    const had = new Set([...base.publish, ...base.subscribe].map(({ subject }) => subject));
    const added = [...more.publish, ...more.subscribe].map(({ subject }) => subject).filter((each) => !had.has(each));
    if (role === "worker") assert.deepEqual(added, []);
    else assert.ok(added.length > 5);
    for (const subject of added) assert.ok(subject.startsWith("my.mesh.a.") || streams.test(subject), subject);
  }
});

test("permissions - the printed command of nsc is what a shell hands over: each right as one argument", () => {
  for (const role of ROLES) {
    const rights = rightsOf({ role, pools: ["adder"], name: "n1", durable: true });
    // A stand-in for the tool, which prints its arguments, each ended by a zero byte.
    const script = `nsc() { printf '%s\\0' "$@"; }\n# a comment\n${nscCommand(rights).join("\n")}\n`;
    const args = execFileSync("bash", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1);
    const after = (flag: string): string[] => args.filter((_, i) => args[i - 1] === flag);
    const { pub, sub, resp } = jwtPermissions(rights);
    assert.deepEqual(args.slice(0, 3), ["add", "user", "--name"]);
    assert.deepEqual([after("--allow-pub"), after("--allow-sub")], [pub.allow, sub.allow]);
    const answers = args.filter((each) => /^--(allow-pub-response|response-ttl)=/.test(each));
    assert.equal(answers.length, resp === undefined ? 0 : 2);
    // nsc reads each as a list of comma-separated values.
    for (const subject of [...pub.allow, ...sub.allow]) assert.doesNotMatch(subject, /[,"]/);
  }
});

test("permissions - a worker hears offers in the queue group only, and answers nobody but managers", () => {
  assert.ok(isAllowed(worker, { operation: "subscribe", subject: "pool.adder.job", queue: "workers" }));
  assert.ok(!isAllowed(worker, { operation: "subscribe", subject: "pool.adder.job" }));
  assert.ok(!isAllowed(worker, { operation: "subscribe", subject: "pool.adder.job", queue: "others" }));
  assert.ok(isAllowed(worker, { operation: "publish", subject: "_INBOX.manager.m1.x.1.0_1abc" }));
  assert.ok(!isAllowed(worker, { operation: "publish", subject: "_INBOX.client.shop.x.1.0_1abc" }));
  assert.equal(worker.inboxPrefix, undefined);
  assert.equal(worker.responses?.max, 1);
});

test("permissions - a pattern covers what nats-server matches", () => {
  for (const [pattern, subject, expected] of [
    ["a.b", "a.b", true],
    ["a.*", "a.b", true],
    ["a.*", "a.*", true],
    ["a.*", "a.>", false],
    ["a.*", "a.b.c", false],
    ["a.>", "a", false],
    ["a.>", "a.b.c", true],
    ["a.>", "a.>", true],
    ["a.b", "a.*", false],
    ["a.*.c", "a.b", false],
  ] as const) {
    assert.equal(covers(pattern, subject), expected, `${pattern} ${subject}`);
  }
});

test("permissions - the three forms say the same", () => {
  const { pub, sub, resp } = jwtPermissions(worker);
  const conf = confPermissions(worker).join("\n");
  const nsc = nscCommand(worker).join("\n");
  for (const subject of pub.allow) assert.ok(conf.includes(`"${subject}"`) && nsc.includes(`--allow-pub '${subject}'`));
  for (const subject of sub.allow) assert.ok(conf.includes(`"${subject}"`) && nsc.includes(`--allow-sub '${subject}'`));
  assert.ok(sub.allow.includes("pool.adder.job workers"));
  assert.deepEqual(resp, { max: 1, ttl: 660e9 });
  assert.match(conf, /allow_responses: \{ max: 1, expires: "660s" \}/);
  assert.match(nsc, /--allow-pub-response=1 \\\n {2}--response-ttl=660s$/);
  assert.deepEqual(flagsOf(worker), ["--id w1 --pool adder"]);
  assert.equal(confUser(worker)[1], '  user: "worker-adder-w1", password: $WORKER_ADDER_W1_PASSWORD');
});

test("permissions - a holder without its pool, or with a name that is none, is refused", () => {
  const wrong: readonly (readonly [Holder, string])[] = [
    [{ role: "worker", name: "w" }, "pool"],
    [{ role: "worker", name: "w", pools: ["a", "b"] }, "pool"],
    [{ role: "client", name: "c" }, "pool"],
    [{ role: "manager", name: "m", pools: [] }, "pool"],
    [{ role: "manager", name: "*" }, "name"],
    [{ role: "manager", name: "m", pools: [">"] }, "pool"],
    [{ role: "manager", name: "m", prefix: "a b" }, "prefix"],
  ];
  for (const [holder, field] of wrong) assert.throws(() => rightsOf(holder), { reason: "invalid_argument", field });
});

test("permissions - the command prints one holder's rights and no secret, and names what is missing", async () => {
  const { code, stdout } = await runInShell([
    "permissions",
    "--role",
    "client",
    "--pool",
    "a",
    "--pool",
    "b",
    "--name",
    "c",
  ]);
  assert.equal(code, 0);
  assert.match(stdout, /^# client c, pools a, b\n# runs with --inbox-prefix _INBOX\.client\.c\n\{/);
  assert.match(stdout, /"pool\.b\.submit"/);
  const nkey = `U${"A".repeat(55)}`;
  const withKey = await runInShell([
    "permissions",
    "--role",
    "manager",
    "--name",
    "m",
    "--nkey",
    nkey,
    "--prefix",
    "x",
  ]);
  assert.match(withKey.stdout, new RegExp(`nkey: "${nkey}"`));
  assert.match(withKey.stdout, /"x\.\*\.job"/);
  for (const argv of [
    [],
    ["--role", "king"],
    ["--role", "manager"],
    ["--role", "manager", "--name", "m", "--nkey", "SU"],
  ]) {
    const { code: failed, stderr } = await runInShell(["permissions", ...argv]);
    assert.notEqual(failed, 0);
    assert.notEqual(stderr, "");
  }
});
