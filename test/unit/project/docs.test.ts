/** What the documents name is there: decisions, links, files, and the worked example of the free slots. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { packageRoot } from "../../../mesh/process/identity.js";
import { type WorkerHeartbeat, Workers } from "../../../services/manager/jobs/workers.js";

const root = packageRoot();
const documents = ["README.md", "CHANGELOG.md", ...markdownUnder("docs")];
const decisions = readdirSync(join(root, "docs/adr")).filter((name) => /^\d/.test(name));
const SOURCE_FOLDERS = [
  "mesh/http",
  "mesh/process",
  "mesh/link",
  "mesh/job",
  "services",
  "client",
  "broker",
  "browser",
];
const TOP_FOLDERS = /^(mesh|services|client|broker|browser|cli|proto|gen|test|scripts|examples|bench|deploy)\//;

test("documents - every decision has a status, a date, a context, a decision and consequences", () => {
  for (const name of decisions) {
    const text = read(join("docs/adr", name));
    const number = Number(name.slice(0, 4));
    assert.match(text, new RegExp(`^# ${number}\\. \\S.*\n\n- Status: \\S.*\n- Date: \\d{4}-\\d\\d-\\d\\d\n`), name);
    const parts = [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
    assert.deepEqual(parts, ["Context", "Decision", "Consequences"], name);
  }
});

test("documents - the index of decisions has every one, with its title, status and date", () => {
  const index = read("docs/adr/README.md");
  const rows = index.split("\n").filter((line) => line.startsWith("| ["));
  assert.equal(rows.length, decisions.length);
  for (const name of decisions) {
    const [, title, status, date] =
      /^# \d+\. (.*)\n\n- Status: (.*)\n- Date: (.*)\n/.exec(read(join("docs/adr", name))) ?? [];
    const row = `| [${name.slice(0, 4)}](${name}) | ${title} | ${status} | ${date} | `;
    assert.ok(index.includes(row), `docs/adr/README.md: ${row}`);
  }
});

test("documents - a figure beside a link to the benchmarks is one of the benchmarks", () => {
  const measured = read("docs/benchmarks.md");
  const isMeasured = (figure: string) => new RegExp(`(?<![\\d,])${figure}(?![\\d,])`).test(measured);
  const strange = documents
    .filter((file) => /^docs\/(guides|migration)\//.test(file))
    .flatMap((file) =>
      read(file)
        .split("\n\n")
        .filter((paragraph) => paragraph.includes("benchmarks.md#1-"))
        .flatMap((paragraph) => paragraph.match(/\b\d{1,3},\d{3}(?= (empty )?jobs)|(?<=has )\d[\d,]*/g) ?? [])
        .filter((figure) => !isMeasured(figure))
        .map((figure) => `${file}: ${figure}`),
    );
  assert.deepEqual(strange, []);
});

test("documents - every link inside the repository leads to a file, and to a heading of it", () => {
  const broken = documents.flatMap((file) =>
    [...withoutCode(read(file)).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
      if (/^[a-z]+:/.test(target)) return [];
      const [path = "", anchor] = target.split("#");
      const found = path === "" ? file : relative(root, join(root, dirname(file), path));
      if (!existsSync(join(root, found))) return [`${file} links to ${target}, which is not there`];
      if (anchor === undefined || headingsOf(found).includes(anchor)) return [];
      return [`${file} links to ${target}, which has no such heading`];
    }),
  );
  assert.equal(broken.join("\n"), "");
});

test("documents - every file and folder that a document names is there", () => {
  const missing = documents.flatMap((file) =>
    [...withoutCode(read(file)).matchAll(/`([\w./-]+\/[\w./-]*)`/g)].flatMap(([, path = ""]) =>
      !TOP_FOLDERS.test(path) || existsSync(join(root, path)) ? [] : [`${file} names ${path}, which is not there`],
    ),
  );
  assert.equal(missing.join("\n"), "");
});

test("documents - every source file that a comment names is there", () => {
  const sources = SOURCE_FOLDERS.flatMap((folder) => filesUnder(folder, ".ts"));
  const known = ["mesh", "cli", "test", "scripts", ...SOURCE_FOLDERS].flatMap((folder) =>
    filesUnder(folder, ".ts").map((path) => `/${path}`),
  );
  const missing = sources.flatMap((file) =>
    [...commentsOf(read(file)).matchAll(/(?<![\w./-])[\w-][\w./-]*\.ts\b/g)].flatMap(([name]) =>
      known.some((path) => path.endsWith(`/${name}`)) ? [] : [`${file} names ${name}, which is not there`],
    ),
  );
  assert.equal(missing.join("\n"), "");
});

test("documents - the worked example of the free slots is what the registry counts", () => {
  const rows: string[][] | undefined = read("docs/architecture.md")
    .split("| event | said |")[1]
    ?.split("\n\n")[0]
    ?.split("\n")
    .slice(2)
    .map((line) => line.split("|").map((cell) => cell.trim()));
  const workers = new Workers();
  const hear = (seq: bigint, busy: number): unknown => workers.heartbeat({ ...HEARTBEAT, seq, busy }, 0);
  const steps: (() => unknown)[] = [
    () => hear(1n, 0),
    () => workers.assign(0),
    () => workers.assign(0),
    () => hear(2n, 0),
    () => {
      workers.answered("w");
      workers.said("w", 3, 0);
    },
    () => hear(3n, 2),
    () => {
      workers.freed("w");
      workers.said("w", 3, 0);
    },
  ];
  assert.equal(rows?.length, steps.length);
  for (const [index, step] of steps.entries()) {
    step();
    const [, event, , unanswered, , estimate]: string[] = rows?.[index] ?? [];
    const worker = workers.get("w");
    assert.deepEqual([worker?.unanswered, worker?.free], [Number(unanswered), Number(estimate)], event);
  }
});

test("documents - the README's ratios of waits are those of its own table of figures", () => {
  const readme = read("README.md");
  const cells = (line: RegExp): string[] => (line.exec(readme)?.[0] ?? "").split("|").map((cell) => cell.trim());
  const heads = cells(/^\| median \|.*$/m);
  const waits = cells(/^\| wait for a slot at 85 % load, p99, ms .*$/m);
  const ideal = /ideal central queue: ([\d.,]+)/.exec(waits[1] ?? "")?.[1];
  const [poolmesh, queueGroup] = ["Poolmesh embedded", "NATS queue group"].map((arm) => waits[heads.indexOf(arm)]);
  const number = (text = ""): number => Number(text.replaceAll(",", ""));
  const times = (text: string | undefined): string => `${(number(text) / number(ideal)).toFixed(1)} ×`;
  const sentence = `p99 wait is ${times(poolmesh)} that of an ideal central queue; a plain queue group has ${times(queueGroup)}`;
  assert.ok(readme.includes(sentence), `the README says: ${sentence}`);
  const others = [...readme.matchAll(/[\d.]+ ×/g)].filter(([figure]) => !sentence.includes(figure));
  assert.deepEqual(others.map(String), []);
});

const HEARTBEAT: Omit<WorkerHeartbeat, "seq" | "busy"> = {
  worker: "w",
  incarnation: 1n,
  state: WorkerState.READY,
  slots: 4,
  heartbeatIntervalMs: 1_000,
  isolation: 0,
};

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** A document without its fenced blocks. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, "");
}

/** The anchors of a document's headings, as GitHub makes them. */
function headingsOf(file: string): string[] {
  return [...withoutCode(read(file)).matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function markdownUnder(folder: string): string[] {
  return filesUnder(folder, ".md");
}

function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

/** What the comments of a source file say. */
function commentsOf(code: string): string {
  return [...code.matchAll(/\/\*\*?[\s\S]*?\*\/|^\s*\/\/.*$/gm)].map(([comment]) => comment).join("\n");
}
