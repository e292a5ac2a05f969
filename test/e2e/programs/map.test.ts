/** `poolmesh map`: lines and files in, NDJSON out, in bounded memory. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { Readable } from "node:stream";
import { before, describe, test } from "node:test";
import { WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { CLI } from "../../support/process.js";
import { scratchFolder, startUp, type UpMesh } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

leakGuard();

/** Doubles a number, fails for a word, waits as it is told: for a time, or until so many run at once. */
const HANDLER = `
const met = [];
const meet = (count) => new Promise((resolve) => {
  met.push(resolve);
  if (met.length === count) for (const each of met.splice(0)) each();
});
export async function run(job) {
  if (job.payload?.meet !== undefined) return meet(job.payload.meet);
  if (typeof job.payload === "object") await new Promise((resolve) => setTimeout(resolve, job.payload.wait));
  else if (typeof job.payload !== "number") throw new Error("not a number");
  return typeof job.payload === "number" ? 2 * job.payload : job.payload;
}
`;

interface Line {
  readonly index: number;
  readonly input: string;
  readonly result?: unknown;
  readonly error?: { readonly reason: string; readonly message: string };
  readonly worker: string;
  readonly attempts: number;
  readonly ms: number;
}

let mesh: UpMesh;

before(async () => {
  const folder = await scratchFolder(WHOLE_FILE, { "twice.mjs": HANDLER });
  mesh = await startUp(WHOLE_FILE, [
    "--pool",
    "twice",
    "--handler",
    join(folder, "twice.mjs"),
    "--slots",
    "8",
    "--grace-ms",
    "2000",
  ]);
});

function parse(ndjson: string): Line[] {
  return ndjson
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

describe("map - lines", () => {
  test("every line of stdin has one line of output, right and complete", async () => {
    const input = Array.from({ length: 2_000 }, (_, i) => `${i}\n`).join("");
    const { code, stdout, stderr } = await mesh.run(["map", "twice"], { input });
    assert.deepEqual([code, stderr], [0, ""]);
    const lines = parse(stdout).sort((a, b) => a.index - b.index);
    assert.equal(lines.length, 2_000);
    for (const [i, line] of lines.entries()) {
      assert.deepEqual([line.index, line.input, line.result, line.attempts], [i, String(i), 2 * i, 1]);
      assert.ok(line.worker !== "" && line.ms > 0);
    }
  });

  test("map keeps every slot of the pool busy at once: jobs that end only together all end", async () => {
    const input = '{"meet":8}\n'.repeat(80);
    const { code, stdout, stderr } = await mesh.run(["map", "twice"], { input });
    assert.deepEqual([code, stderr, parse(stdout).length], [0, "", 80]);
  });

  test("--ordered keeps the order although later jobs are done first", async () => {
    const input = `${'{"wait":300}\n'}${"1\n".repeat(50)}`;
    const { stdout } = await mesh.run(["map", "twice", "--ordered"], { input });
    assert.deepEqual(
      parse(stdout).map(({ index }) => index),
      Array.from({ length: 51 }, (_, i) => i),
    );
  });

  test("a failed job is an error line, the others go on, and the exit code is 1", async () => {
    const { code, stdout } = await mesh.run(["map", "twice"], { input: '1\n"x"\n\n3' });
    const lines = parse(stdout).sort((a, b) => a.index - b.index);
    assert.equal(code, 1);
    assert.deepEqual(
      lines.map(({ result }) => result),
      [2, undefined, undefined, 6],
    );
    assert.deepEqual(lines[1]?.error, { reason: "job_failed", message: "not a number", retryable: false });
    assert.equal(lines[1]?.attempts, 1);
  });

  test("--lines reads a file, and --skip leaves out the first of them", async (t) => {
    const folder = await scratchFolder(t, { "n.txt": "1\n2\n3\n4\n" });
    const { code, stdout } = await mesh.run([
      "map",
      "twice",
      "--lines",
      join(folder, "n.txt"),
      "--skip",
      "2",
      "--ordered",
    ]);
    assert.equal(code, 0);
    assert.deepEqual(
      parse(stdout).map(({ index, result }) => [index, result]),
      [
        [2, 6],
        [3, 8],
      ],
    );
    const missing = await mesh.run(["map", "twice", "--lines", join(folder, "none.txt")]);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /lines: cannot read ".*none\.txt" \(ENOENT\)/);
  });
});

describe("map - files", () => {
  test("a job has a file's content, or with --paths its path", async (t) => {
    const folder = await scratchFolder(t, { "a.num": "5", "b.num": "6", ".c.num": "7", "d.txt": "8" });
    const { stdout } = await mesh.run(["map", "twice", "--files", `${folder}/*.num`, "--ordered"]);
    assert.deepEqual(
      parse(stdout).map(({ input, result }) => [input, result]),
      [
        [join(folder, "a.num"), 10],
        [join(folder, "b.num"), 12],
      ],
    );
    const paths = await mesh.run(["map", "twice", "--paths", "--files", `${folder}/a.num`]);
    assert.equal(paths.code, 1);
    const none = await mesh.run(["map", "twice", "--files", `${folder}/*.none`]);
    const refused = `poolmesh: invalid_argument: files: no file matches "${folder}/*.none"\n`;
    assert.deepEqual([none.code, none.stderr], [2, refused]);
  });
});

describe("map - interruption", () => {
  test("Ctrl-C finishes what runs and says how to go on; together the two runs cover every input once", async (t) => {
    const inputs = Array.from({ length: 400 }, (_, i) => `{"wait":${50 + (i % 3)}}`);
    const folder = await scratchFolder(t, { "in.txt": inputs.join("\n") });
    const args = ["map", "twice", "--lines", join(folder, "in.txt"), "--window", "16", "--ordered"];
    const first = mesh.start(args, { input: "" });
    await first.line(/"index":60,/);
    first.signal("SIGINT");
    const { code, stdout, stderr } = await first.exit();
    assert.equal(code, 130);
    assert.match(stderr, /^stopping: waiting for \d+ jobs? under way/);
    const skip = Number(/go on with: poolmesh map .* --skip (\d+)$/m.exec(stderr)?.[1]);
    const done = parse(stdout);
    assert.equal(done.length, skip);
    assert.ok(done.every((line) => line.result !== undefined));
    const second = await mesh.run([...args, "--skip", String(skip)]);
    assert.equal(second.code, 0);
    const indices = [...done, ...parse(second.stdout)].map(({ index }) => index);
    assert.deepEqual(
      indices,
      inputs.map((_, i) => i),
    );
  });

  test("a second Ctrl-C cancels what runs", async () => {
    const map = mesh.start(["map", "twice", "--window", "4"], { input: `1\n${'{"wait":60000}\n'.repeat(4)}` });
    await map.line(/"index":0,/);
    map.signal("SIGINT");
    await map.errorLine(/stopping/);
    map.signal("SIGINT");
    const { code, stderr } = await map.exit();
    assert.equal(code, 130);
    assert.match(stderr, /the first 1 inputs are done/);
  });
});

describe("map - endless input", () => {
  /** A map process on an endless stdin; counts the bytes that it takes. */
  function startEndless(t: Parameters<typeof cleanUp>[0], args: readonly string[]) {
    let taken = 0;
    function* numbers(): Generator<Buffer> {
      for (const chunk = Buffer.from("21\n".repeat(1_000)); ; ) {
        taken += chunk.length;
        yield chunk;
      }
    }
    const child = spawn(process.execPath, [...CLI, "map", ...args], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...mesh.env },
    });
    const source = Readable.from(numbers(), { objectMode: false });
    child.stdin.on("error", () => undefined);
    source.pipe(child.stdin);
    const gone = new Promise((resolve) => child.once("close", resolve));
    cleanUp(t, () => {
      source.destroy();
      child.kill("SIGKILL");
      return gone;
    });
    return { child, taken: () => taken };
  }

  test("nothing more is read while no result comes", async (t) => {
    const { child, taken } = startEndless(t, ["nobody-serves-this", "--wait-for-pool", "--window", "32"]);
    child.stdout.resume();
    let last = -1;
    await eventually(
      () => {
        const now = taken();
        const isStill = now > 0 && now === last;
        last = now;
        return isStill;
      },
      { pollMs: 1_500, limitMs: 60_000, what: "the input stands still" },
    );
    assert.ok(taken() < 2 * 2 ** 20, `${taken()} bytes were taken for 32 jobs`);
  });

  test("memory does not grow with what has gone through", async (t) => {
    const { child } = startEndless(t, ["twice"]);
    let lines = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      for (const byte of chunk) if (byte === 0x0a) lines += 1;
    });
    const rssAt = async (count: number): Promise<number> => {
      await eventually(() => lines >= count, { limitMs: 120_000, what: `${count} results` });
      return residentMiB(child.pid ?? 0);
    };
    const early = await rssAt(10_000);
    const late = await rssAt(40_000);
    assert.ok(late - early < 80, `resident memory went from ${early} to ${late} MiB`);
  });
});

async function residentMiB(pid: number): Promise<number> {
  const ps = spawn("ps", ["-o", "rss=", "-p", String(pid)]);
  let text = "";
  ps.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await new Promise((resolve) => ps.once("close", resolve));
  return Number(text) / 1_024;
}
