/** The pure parts of `poolmesh map`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Feed } from "../../../cli/jobs/map/feed.js";
import { globToRegExp } from "../../../cli/jobs/map/glob.js";
import { againLines } from "../../../cli/jobs/map/go-on.js";
import { type LinesOptions, lines } from "../../../cli/jobs/map/lines.js";
import type { MapInput } from "../../../cli/jobs/map/map-input.js";
import { outcomeLine } from "../../../cli/jobs/map/outcome-line.js";
import { PatientStarter } from "../../../cli/jobs/map/patient-starter.js";
import { DonePrefix } from "../../../cli/jobs/map/prefix.js";
import type { ResultForm } from "../../../cli/output/result-fields.js";
import { PoolError } from "../../../mesh/errors.js";
import { JobResult, type Outcome, type SubmitOptions } from "../../../mesh/job/job.js";
import { type InputIterator, jobFlow } from "../../../mesh/job/job-flow.js";
import { seededRandom } from "../../support/random.js";

async function* chunksOf(text: Buffer, size: () => number): AsyncGenerator<Buffer> {
  for (let from = 0; from < text.length; ) {
    const to = from + size();
    yield text.subarray(from, to);
    from = to;
  }
}

async function collect<T>(source: InputIterator<T>): Promise<T[]> {
  const all: T[] = [];
  for (let step = await source.next(); !step.done; step = await source.next()) all.push(step.value);
  return all;
}

function linesOf(chunks: AsyncIterable<Uint8Array>, options: LinesOptions = {}): Promise<MapInput[]> {
  return collect(new Feed(lines(chunks, options), 0));
}

function text({ payload }: MapInput): string {
  return Buffer.from(payload).toString();
}

describe("map - lines", () => {
  test("lines are the same however the stream is cut", async () => {
    const random = seededRandom(7);
    const stream = Buffer.from("one\ntwo ü\r\n\nfour\u{1f600}\nlast without an end");
    for (let round = 0; round < 100; round += 1) {
      const found = await linesOf(chunksOf(stream, () => 1 + Math.floor(random() * 9)));
      assert.deepEqual(found.map(text), ["one", "two ü", "", "four\u{1f600}", "last without an end"]);
      assert.equal(found.at(-1)?.readTo, stream.length);
    }
  });

  test("a CR belongs to a line's end only before an LF; at the end of the stream it is data", async () => {
    for (const [stream, expected] of [
      ["a\r", ["a\r"]],
      ["a\r\nb\r", ["a", "b\r"]],
      ["\r", ["\r"]],
      ["a\r\r\n\r\n", ["a\r", ""]],
    ] as const) {
      for (const size of [1, 2, 9]) {
        assert.deepEqual((await linesOf(chunksOf(Buffer.from(stream), () => size))).map(text), expected);
      }
    }
  });

  test("bytes that are not UTF-8 stay as they are", async () => {
    const [line] = await linesOf(chunksOf(Buffer.from([0xff, 0x00, 0x0a]), () => 8));
    assert.deepEqual([...(line?.payload ?? [])], [0xff, 0x00]);
  });

  test("a byte order mark before the first line is dropped, however the stream is cut, and nowhere else", async () => {
    for (let size = 1; size < 9; size += 1) {
      const found = await linesOf(chunksOf(Buffer.from("\ufeff1\r\n\ufeff2\n"), () => size));
      assert.deepEqual(found.map(text), ["1", "\ufeff2"]);
      assert.deepEqual(await linesOf(chunksOf(Buffer.from("\ufeff"), () => size)), []);
      assert.deepEqual((await linesOf(chunksOf(Buffer.from("\ufeff\n"), () => size))).map(text), [""]);
    }
  });

  test("with --codec bytes a byte order mark stays, since it may be data", async () => {
    const found = await linesOf(
      chunksOf(Buffer.from("\ufeff1\n"), () => 2),
      { keepByteOrderMark: true },
    );
    assert.deepEqual(found.map(text), ["\ufeff1"]);
  });

  test("UTF-16 text is refused and told what to do, however the stream is cut; with --codec bytes it is data", async () => {
    const little = Buffer.from("\ufeff12\r\n3\n", "utf16le");
    const big = Buffer.from(little).swap16();
    for (const file of [little, big]) {
      for (let size = 1; size < 9; size += 1) {
        await assert.rejects(linesOf(chunksOf(file, () => size)), {
          field: "input",
          message: /UTF-16.*iconv.*--codec bytes/,
        });
      }
      assert.equal(
        (
          await linesOf(
            chunksOf(file, () => 4),
            { keepByteOrderMark: true },
          )
        ).length > 1,
        true,
      );
    }
    const binary = Buffer.from([0xff, 0xfe, 0x01, 0x0a]);
    assert.deepEqual([...((await linesOf(chunksOf(binary, () => 2)))[0]?.payload ?? [])], [0xff, 0xfe, 0x01]);
  });

  test("a line over the limit is refused before more of it is held", async () => {
    const endless = chunksOf(Buffer.alloc(10_000, "x"), () => 100);
    await assert.rejects(linesOf(endless, { maxLineBytes: 1_000 }), { reason: "payload_too_large", field: "input" });
  });
});

describe("map - glob", () => {
  const cases: readonly [pattern: string, matching: readonly string[], other: readonly string[]][] = [
    ["**/*.ts", ["a.ts", "a/b.ts", "a/b/c.ts"], [".a.ts", "a/.b/c.ts", "a.tsx"]],
    ["*.{ts,js}", ["a.ts", "a.js"], ["a/b.ts", "a.tsx", ".a.js"]],
    ["a/**", ["a/b", "a/b/c"], ["a/.b", "b/c", "a"]],
    ["[ab]?.txt", ["ax.txt", "b1.txt"], ["cx.txt", "a.txt"]],
    ["[!a]*", ["b", "bc"], ["a", "ab"]],
    ["a,b}", ["a,b}"], ["a", "b"]],
    [".*/x", [".a/x"], ["a/x"]],
    ["{*.ts,b}", ["a.ts", "b"], [".a.ts"]],
    ["x{a,b{c,d}}", ["xa", "xbc", "xbd"], ["xb"]],
    ["a+(b).$", ["a+(b).$"], ["aab"]],
  ];
  for (const [pattern, matching, other] of cases) {
    test(`${pattern} means what it means in a shell`, () => {
      const expression = globToRegExp(pattern);
      for (const path of matching) assert.ok(expression.test(path), `${path} matches`);
      for (const path of other) assert.ok(!expression.test(path), `${path} does not match`);
    });
  }
});

describe("map - where to go on", () => {
  test("the prefix is what is done without a gap, in any order of outcomes", () => {
    const random = seededRandom(3);
    const done = new DonePrefix(5);
    const order = Array.from({ length: 200 }, (_, i) => i + 5).sort(() => random() - 0.5);
    const seen = new Set<number>();
    for (const index of order) {
      done.add(index);
      seen.add(index);
      let expected = 5;
      while (seen.has(expected)) expected += 1;
      assert.equal(done.length, expected);
      assert.equal(done.beyond, seen.size - (expected - 5));
    }
  });

  test("the command to go on with is the same one with another --skip, quoted for a shell", () => {
    const done = new DonePrefix();
    done.add(0);
    const argv = ["map", "p", "--files", "a b/*.ts", "--skip", "0"];
    const [, again] = againLines(argv, { files: ["a b/*.ts"] }, done);
    assert.equal(again, "go on with: poolmesh map p --files 'a b/*.ts' --skip 1");
  });

  test("inputs from stdin have to be given again, and it says so", () => {
    const [, again] = againLines(["map", "p", "--skip=4"], {}, new DonePrefix(4));
    assert.match(again ?? "", /map p --skip 4 .*stdin/);
  });
});

describe("map - feed", () => {
  async function* groupsOf(groups: readonly string[]): AsyncGenerator<string> {
    yield* groups;
  }

  test("the first inputs are left out and the rest come in order", async () => {
    for (const groups of [
      ["a", "b", "c", "d", "e", "f"],
      ["abc", "", "def"],
      ["", "abcdef", ""],
    ]) {
      const feed = new Feed(groupsOf(groups), 4);
      assert.deepEqual(await collect(feed), ["e", "f"]);
      assert.equal(feed.ended, true);
    }
  });

  test("the inputs of a group come at once, without a promise", async () => {
    const feed = new Feed(groupsOf(["abc"]), 0);
    assert.deepEqual(await feed.next(), { done: false, value: "a" });
    assert.deepEqual(feed.next(), { done: false, value: "b" });
  });

  test("what the source throws reaches the reader, within a group and between two", async () => {
    async function* between(): AsyncGenerator<string> {
      yield "a";
      throw new Error("between");
    }
    await assert.rejects(collect(new Feed(between(), 0)), /between/);
    function* within(): Generator<string> {
      yield "a";
      throw new Error("within");
    }
    async function* one(): AsyncGenerator<Iterable<string>> {
      yield within();
    }
    await assert.rejects(collect(new Feed(one(), 0)), /within/);
  });

  test("a closed tap ends although the source never gives anything", async () => {
    const silent: AsyncIterable<string> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
    const feed = new Feed(silent, 0);
    const all = collect(feed);
    feed.close();
    assert.deepEqual(await all, []);
    assert.equal(feed.ended, false);
  });
});

describe("map - outcomes", () => {
  test("a result line has index, input, result, worker, attempts, waitMs and ms", () => {
    const result = new JobResult("j", Buffer.from("42"), "w-1", 2, 1, 3);
    const input = { payload: Buffer.from("41"), tookMs: 2.34567 };
    const line = outcomeLine({ ok: true, id: "j", result, index: 0, input }, 7, "auto");
    assert.deepEqual(JSON.parse(line), {
      index: 7,
      input: "41",
      result: 42,
      worker: "w-1",
      attempts: 2,
      waitMs: 1,
      ms: 2.35,
    });
    assert.ok(line.endsWith("}\n"));
  });

  test("an error line has the error in place of the result", () => {
    const error = new PoolError("job_failed", "no");
    const input = { payload: Buffer.from("x"), tookMs: 1 };
    const line = outcomeLine({ ok: false, id: "j", error, worker: "w", attempt: 1, index: 0, input }, 0, "auto");
    const { error: shown, ...rest } = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual(shown, { reason: "job_failed", message: "no", retryable: false });
    assert.deepEqual(rest, { index: 0, input: "x", worker: "w", attempts: 1, ms: 1 });
  });
});

describe("map - nothing changes on the way out", () => {
  const lineOf = (input: MapInput, result: Uint8Array | string, form: ResultForm = "auto"): string => {
    const payload = typeof result === "string" ? Buffer.from(result) : result;
    return outcomeLine(
      { ok: true, id: "j", result: new JobResult("j", payload, "w", 1, 0, 0), index: 0, input },
      0,
      form,
    );
  };

  const exact = ["12345678901234567890", "1e400", "-0", "1.0", '{"a":1,"a":2}', '"\\u0041"', "[1E+2]", "0.10", "null"];
  for (const json of exact) {
    test(`the result ${json} keeps its own text`, () => {
      for (const form of ["auto", "json"] as const) {
        assert.ok(lineOf({ payload: Buffer.from("x") }, json, form).includes(`"result":${json},`));
      }
    });
  }

  test("a result that is JSON of several lines is one line, its strings as they were", () => {
    const line = lineOf({ payload: Buffer.from("x") }, '\n{ "a b" : [ 1.0 ,\r\n\t"x \\" : ,\\\\" ] }\n');
    assert.ok(line.includes('"result":{"a b":[1.0,"x \\" : ,\\\\"]},'), line);
    assert.equal(line.indexOf("\n"), line.length - 1);
  });

  test("input that is not UTF-8 is given back as inputBase64, text as it was", () => {
    const line = JSON.parse(lineOf({ payload: Buffer.from([0xff, 0x41]) }, "1")) as Record<string, unknown>;
    assert.deepEqual([line.inputBase64, "input" in line], ["/0E=", false]);
    for (const text of ["ü", "\ufeffa", '"', "\u2028", "\ufffd"]) {
      assert.equal((JSON.parse(lineOf({ payload: Buffer.from(text) }, "1")) as { input: string }).input, text);
    }
  });

  test("a file is named by its path, whatever its bytes are", () => {
    const line = JSON.parse(lineOf({ path: "a/b", payload: Buffer.from([0xff]) }, "1")) as Record<string, unknown>;
    assert.deepEqual([line.input, "inputBase64" in line], ["a/b", false]);
  });
});

describe("map - patience", () => {
  const away = (maybeExecuted: boolean): Outcome => {
    const error = new PoolError("bus_unavailable", "away", { maybeExecuted });
    return { ok: false, id: "1", error, worker: "", attempt: 0 };
  };
  const done: Outcome = { ok: true, id: "1", result: new JobResult("1", new Uint8Array(), "", 1, 0, 0) };

  function starterOf(
    answers: Outcome[],
    options: SubmitOptions = {},
  ): { starter: PatientStarter; tries: () => number } {
    let tries = 0;
    const client = {
      detachSubmit: (_payload: unknown, { onOutcome }: { onOutcome?: (outcome: Outcome) => void } = {}): string => {
        const answer = answers[tries] ?? done;
        tries += 1;
        setImmediate(() => onOutcome?.(answer));
        return `client-${tries}`;
      },
      cancel: () => Promise.resolve(),
    };
    return { starter: new PatientStarter(client, options), tries: () => tries };
  }

  test("without a manager a run ends at once, unless one has taken a job before", async () => {
    const error = new PoolError("bus_unavailable", "no manager serves the pool");
    const none: Outcome = { ok: false, id: "1", error, worker: "", attempt: 0 };
    const atFirst = starterOf([none, done]);
    assert.equal((await run(atFirst.starter, 60_000)).ok, false);
    assert.equal(atFirst.tries(), 1);
    const later = starterOf([done, none, done]);
    await run(later.starter, 60_000);
    assert.equal((await run(later.starter, 60_000)).ok, true);
    assert.equal(later.tries(), 3);
  });

  const run = (starter: PatientStarter, leftMs: number): Promise<Outcome> =>
    new Promise((resolve) => starter.start({ payload: new Uint8Array() }, leftMs, resolve));

  test("a job that nobody could take is tried again and succeeds", async () => {
    const { starter, tries } = starterOf([away(false)]);
    assert.equal((await run(starter, 30_000)).ok, true);
    assert.equal(tries(), 2);
    assert.equal(starter.underWay, 0);
  });

  test("a job that may have run is not tried again", async () => {
    const { starter, tries } = starterOf([away(true)]);
    assert.equal((await run(starter, 30_000)).ok, false);
    assert.equal(tries(), 1);
  });

  test("a job without time left is not tried again", async () => {
    const { starter, tries } = starterOf([away(false)]);
    assert.equal((await run(starter, 100)).ok, false);
    assert.equal(tries(), 1);
  });

  test("with --no-wait nothing is tried again", async () => {
    const { starter, tries } = starterOf([away(false)], { wait: false });
    assert.equal((await run(starter, 30_000)).ok, false);
    assert.equal(tries(), 1);
  });
});

describe("map - as fast as the library", () => {
  test("map starts all that its source has in one turn, up to the window, so that it travels in one write", async () => {
    async function* source(): AsyncGenerator<MapInput[]> {
      for (let i = 0; i < 10; i += 1) yield Array.from({ length: 100 }, () => ({ payload: new Uint8Array(1) }));
    }
    const turns: number[] = [];
    let turn = 0;
    const ends: (() => void)[] = [];
    const client = {
      detachSubmit: (_payload: unknown, { onOutcome }: { onOutcome?: (outcome: Outcome) => void } = {}): string => {
        turns.push(turn);
        const id = String(turns.length);
        ends.push(() => onOutcome?.({ ok: true, id, result: new JobResult(id, new Uint8Array(), "w", 1, 0, 0) }));
        return id;
      },
      cancel: () => Promise.resolve(),
    };
    const feed = new Feed<MapInput>(source(), 0);
    const flow = jobFlow(new PatientStarter(client, {}), feed, { window: 256 });
    let seen = 0;
    const ended = (async () => {
      for await (const outcome of flow) seen += Number(outcome.ok);
    })();
    while (seen < 1_000) {
      turn += 1;
      await new Promise(setImmediate);
      for (const end of ends.splice(0)) end();
    }
    await ended;
    assert.equal(turns.length, 1_000);
    assert.ok(new Set(turns).size <= 8, `started in ${new Set(turns).size} turns`);
  });
});
