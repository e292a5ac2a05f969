/** `poolmesh submit` and `map` against a mesh: nothing true gets lost, nothing odd breaks them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { PermanentError } from "../../../mesh/errors.js";
import { bytes } from "../../../mesh/job/codec.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell, type ShellExit, type ShellOptions } from "../../support/docs/fake-shell.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, {});
await mesh.addWorker({ pool: "echo", codec: bytes, slots: 4, run: (job) => job.payload });
await mesh.addWorker({
  pool: "fussy",
  id: "fussy-1",
  run: () => {
    throw Object.assign(new PermanentError("no such card"), { code: "card.unknown" });
  },
});
await mesh.untilCapacity("echo", 4);
await mesh.untilCapacity("fussy", 1);

function poolmesh(argv: readonly string[], options: ShellOptions = {}): Promise<ShellExit> {
  return runInShell(argv, { NATS_URL: mesh.natsUrl }, options);
}

const EXACT = ["12345678901234567890", "1e400", "-0.0", '{"a":1.10,"a":2}', '["\\u0041"]'];
const BINARY = Uint8Array.from([0xff, 0xfe, 0x00, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

describe("submit - what comes back is what was sent", () => {
  for (const json of EXACT) {
    test(`${json} keeps every digit and every key, plain, indented and within --json`, async () => {
      assert.equal((await poolmesh(["submit", "echo", json])).stdout, json);
      assert.equal((await poolmesh(["submit", "echo", "-"], { input: json })).stdout, json);
      const indented = (await poolmesh(["submit", "echo", json, "--codec", "json"])).stdout;
      assert.equal(indented.replace(/\s/g, ""), json);
      assert.ok((await poolmesh(["submit", "echo", json, "--json"])).stdout.includes(`"result":${json},`));
    });
  }

  test("text and binary come back byte by byte, a byte order mark too", async () => {
    const { stdout } = await poolmesh(["submit", "echo", "-"], { input: "\ufeffgrüße\r\n" });
    assert.equal(stdout, "\ufeffgrüße\r\n");
    const binary = await poolmesh(["submit", "echo", "-", "--json"], { input: BINARY });
    const { resultBase64 } = JSON.parse(binary.stdout) as { resultBase64: string };
    assert.deepEqual(Buffer.from(resultBase64, "base64"), Buffer.from(BINARY));
  });

  test("with --codec json a result that is no JSON is not lost: it is printed as it came, and stderr says so", async () => {
    await mesh.addWorker({ pool: "plain", codec: bytes, run: () => Buffer.from("{no json") });
    await mesh.untilCapacity("plain", 1);
    const { code, stdout, stderr } = await poolmesh(["submit", "plain", "1", "--codec", "json"]);
    assert.deepEqual([code, stdout], [0, "{no json"]);
    assert.equal(stderr, "poolmesh: the result is not valid JSON; it is printed as it came\n");
  });
});

describe("submit - a failed job", () => {
  test("--json carries id, worker, attempt and times, as for a result", async () => {
    const { code, stdout } = await poolmesh(["submit", "fussy", "1", "--json", "--id", "f-1"]);
    const { id, worker, attempt, waitMs, totalMs, error } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([code, id, worker, attempt], [1, "f-1", "fussy-1", 1]);
    assert.ok(Number(totalMs) > 0 && Number(waitMs) > 0 && Number(waitMs) <= Number(totalMs));
    assert.deepEqual(error, {
      reason: "job_rejected",
      message: "no such card",
      retryable: false,
      code: "card.unknown",
    });
  });

  test("--json has the same fields when the job was refused before it left", async () => {
    for (const argv of [
      ["submit", "echo", "{", "--codec", "json", "--json", "--id", "f-2"],
      ["submit", "echo", "1", "--client", "a b", "--json", "--id", "f-2"],
    ]) {
      const { code, stdout } = await poolmesh(argv);
      const { id, worker, attempt, totalMs, error } = JSON.parse(stdout) as Record<string, unknown>;
      assert.deepEqual([code, id, worker, attempt, typeof totalMs], [2, "f-2", "", 0, "number"]);
      assert.equal((error as { reason: string }).reason, "invalid_argument");
    }
  });

  test("into a pipe it is one line", async () => {
    const { stderr } = await poolmesh(["submit", "fussy", "1"]);
    assert.equal(stderr, "poolmesh: job_rejected: no such card (code card.unknown)\n");
  });

  test("on a terminal it says what, where, whether it ran and what to do, within the width", async () => {
    for (const columns of [40, 70, 120]) {
      const { code, stderr } = await poolmesh(["submit", "fussy", "1", "--id", "f-3"], { terminalColumns: columns });
      const plain = stripVTControlCharacters(stderr);
      assert.equal(code, 1);
      assert.match(
        plain,
        /^✖ job_rejected: no such card\n {2}code {5}card\.unknown\n {2}job {6}f-3 of pool fussy\n {2}worker {3}fussy-1, attempt 1,/,
      );
      assert.match(plain, /\n {2}it ran {3}yes\n {2}next {5}the handler will never/);
      for (const line of plain.split("\n")) assert.ok(line.length <= columns, line);
    }
  });
});

describe("a pool that nobody serves", () => {
  for (const way of [[], ["--direct"]]) {
    test(`${["submit", ...way].join(" ")}: a mistyped pool is an error at once that names the right one`, async () => {
      const { code, stderr } = await poolmesh(["submit", "ehco", "1", "--timeout-ms", "600000", ...way]);
      assert.equal(code, 69);
      assert.match(stderr, /^poolmesh: unknown_pool: no worker of pool ehco answers; did you mean echo\? \(pools with/);
    });
  }

  test("map: one error for all inputs, no line for any", async () => {
    const { code, stdout, stderr } = await poolmesh(["map", "ehco", "--timeout-ms", "600000"], { input: "1\n2\n3\n" });
    assert.deepEqual([code, stdout], [69, ""]);
    assert.match(stderr, /^poolmesh: unknown_pool: no worker of pool ehco answers; did you mean echo\? .*\n$/);
  });

  test("--wait-for-pool waits until the deadline, and runs the job when a worker comes", async () => {
    const late = poolmesh(["submit", "late", "7", "--wait-for-pool"]);
    const lines = poolmesh(["map", "late", "--wait-for-pool"], { input: "8\n" });
    const over = await poolmesh(["submit", "later", "1", "--wait-for-pool", "--timeout-ms", "2500"]);
    assert.equal(over.code, 1);
    assert.match(over.stderr, /deadline_exceeded/);
    await mesh.addWorker({ pool: "late", codec: bytes, run: (job) => job.payload });
    assert.deepEqual([(await late).code, (await late).stdout], [0, "7"]);
    assert.match((await lines).stdout, /"result":8,/);
  });

  test("a pool whose workers are all busy is waited for without a word", async () => {
    let open = (): void => {};
    const held = new Promise<void>((resolve) => {
      open = resolve;
    });
    await mesh.addWorker({ pool: "busy", run: () => held });
    await mesh.untilCapacity("busy", 1);
    const first = poolmesh(["submit", "busy", "1"]);
    const second = poolmesh(["submit", "busy", "2", "--timeout-ms", "4000"]);
    assert.match((await second).stderr, /^poolmesh: deadline_exceeded/);
    open();
    assert.equal((await first).code, 0);
  });
});

describe("map - what comes back is what was sent", () => {
  test("each line has its own text: exact numbers, no byte order mark, base64 for what is not UTF-8", async () => {
    const input = Buffer.concat([Buffer.from(`\ufeff${EXACT.join("\n")}\n`), Buffer.from([0xff, 0x0a])]);
    const { code, stdout } = await poolmesh(["map", "echo", "--ordered"], { input });
    const lines = stdout.trimEnd().split("\n");
    assert.deepEqual([code, lines.length], [0, EXACT.length + 1]);
    for (const [i, json] of EXACT.entries()) {
      assert.ok(
        lines[i]?.startsWith(`{"index":${i},"input":${JSON.stringify(json)},"result":${json},"worker":`),
        lines[i],
      );
    }
    assert.match(lines.at(-1) ?? "", /"inputBase64":"\/w==","resultBase64":"\/w=="/);
  });
});
