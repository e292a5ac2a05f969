/** Argument lists at random: whatever is typed, the program ends by itself, with a documented code and no secret in a word. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS } from "../../../cli/commands.js";
import { EXIT } from "../../../cli/exit-codes.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { BAD_NAMES } from "../../support/doors/bad-input.js";
import { startCli } from "../../support/process.js";
import { seededRandom } from "../../support/random.js";

const SEED = Number(process.env.FUZZ_SEED ?? 20_261_128);
/** The loop ends when either is over. */
const ROUNDS = 600;
const BUDGET_MS = 9_000;
const DOCUMENTED = new Set<number | null>(Object.values(EXIT));
/** Everything that must never be printed begins so. */
const SECRET = "zqx-secret";

/** Commands that end by themselves when there is no broker. The others run until they are told to stop. */
const ENDING = [
  "submit",
  "map",
  "cancel",
  "workers",
  "drain",
  "pause",
  "resume",
  "resize",
  "restart",
  "doctor",
  "help",
  ...["enqueue", "jobs", "job", "tail", "cron", "limits", "pause-pool", "resume-pool", "dead", "durable"],
  ...["permissions", "healthz"],
];
const ANY_FLAGS = [
  ...["--json", "--no-wait", "--wait", "--idempotent", "--direct", "--ordered", "--paths", "--wait-for-pool", "--help"],
  ...["--pool", "--label", "--count", "--slots", "--window", "--skip", "--lines", "--files", "--timeout-ms", "--id"],
  ...[
    "--priority",
    "--client",
    "--codec",
    "--servers",
    "--user",
    "--creds-file",
    "--nats-tls-ca-file",
    "--prefix",
    "--as",
  ],
  ...["--inbox-prefix", "--log-level", "--pasword", "--token", "--", "-", "-x", "--no-such-flag", "---", "--=", "-V"],
];
const VALUES = [
  ...[
    "",
    "-",
    "--",
    "adder",
    "41",
    "0",
    "-1",
    "1e400",
    "NaN",
    "99999999999999999999",
    "{",
    "null",
    "a=b",
    "=",
    "a=,b=c",
  ],
  ...[
    "high",
    "json",
    "bytes",
    "client",
    "/",
    ".",
    "/no/such/file",
    "**/*",
    "[",
    "{a,b",
    "\u0000",
    "\u001b[2J",
    "\ud800",
  ],
  ...["set", "list", "remove", "show", "retry", "purge", "pool", "each-key", "key:", "key:a", "* * * * *", "@every 1s"],
  ...["2026-12-24T18:00:00Z", "-9-9", "1000-600000", "a:b", "a:b:c", ":", "job_failed", "queued"],
  ...["é", "\r\nPUB x 0", "x".repeat(5_000), "__proto__", "constructor", "toString", "%s%d", "$(id)", "'; rm -rf x"],
  ...[`nats://bob:${SECRET}@127.0.0.1:9`, `nats://bob:pa/${SECRET}@h:1`, `tls://${SECRET}@h`, `http://u:${SECRET}@h`],
  ...Object.values(BAD_NAMES),
];
const ENVIRONMENTS: readonly Readonly<Record<string, string>>[] = [
  { NATS_URL: "nats://127.0.0.1:9" },
  { NATS_URL: "nats://127.0.0.1:9", POOLMESH_USER: "u", POOLMESH_PASSWORD: SECRET },
  { NATS_URL: `nats://u:${SECRET}@127.0.0.1:9` },
  { NATS_URL: "nats://127.0.0.1:9", POOLMESH_TOKEN: SECRET, POOLMESH_SLOTS: "many" },
  { NATS_URL: "nats://127.0.0.1:9", POOLMESH_PASWORD: SECRET },
];

/** The flags of each command as its help shows them, such as "--count <N>". */
async function flagsOf(names: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const helps = await Promise.all(names.map((name) => runInShell([name, "--help"])));
  return new Map(helps.map(({ stdout }, i) => [names[i] as string, stdout.match(/(?<=^ {2})--[\w-]+( <)?/gm) ?? []]));
}

class Typist {
  readonly #random: () => number;
  readonly #flags: ReadonlyMap<string, readonly string[]>;

  constructor(seed: number, flags: ReadonlyMap<string, readonly string[]>) {
    this.#random = seededRandom(seed);
    this.#flags = flags;
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  argv(): string[] {
    const first = this.#random() < 0.95 ? this.pick(ENDING) : this.pick(VALUES);
    const words = Array.from({ length: Math.floor(this.#random() * 6) }, () =>
      this.#word(this.#flags.get(first) ?? []),
    );
    return [first, ...words.flat()].filter((word) => !COMMANDS_THAT_STAY.has(word));
  }

  #word(flags: readonly string[]): string[] {
    const kind = this.#random();
    if (kind < 0.35 || flags.length === 0) return [this.pick(VALUES)];
    if (kind < 0.85) {
      const [flag = "", takesValue] = this.pick(flags).split(" ");
      if (takesValue === undefined) return [flag];
      return this.#random() < 0.5 ? [flag, this.pick(VALUES)] : [`${flag}=${this.pick(VALUES)}`];
    }
    if (kind < 0.9) return [`--tokn=${SECRET}-${Math.floor(this.#random() * 100)}`];
    return kind < 0.95 ? [this.pick(ANY_FLAGS)] : [`${this.pick(ANY_FLAGS)}=${this.pick(VALUES)}`];
  }
}

const COMMANDS_THAT_STAY = new Set(COMMANDS.map(({ name }) => name).filter((name) => !ENDING.includes(name)));

function check(what: string, code: number | null, output: string): void {
  assert.ok(DOCUMENTED.has(code), `${what} exits with ${code}`);
  assert.ok(!output.includes(SECRET), `${what} prints a secret:\n${output}`);
  assert.doesNotMatch(output, /\n\s+at .*:\d+:\d+/, `${what} prints a stack`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  assert.doesNotMatch(output, /[\u0000-\u0008\u000b-\u001f\u007f]/, `${what} prints a control character`);
}

test("any list of arguments ends with a documented code, and no secret, stack or control character is printed", async () => {
  const typist = new Typist(SEED, await flagsOf(ENDING.filter((name) => name !== "help")));
  const endAt = performance.now() + BUDGET_MS;
  for (let round = 0; round < ROUNDS && performance.now() < endAt; round += 1) {
    const [argv, env] = [typist.argv(), typist.pick(ENVIRONMENTS)];
    const { code, stdout, stderr } = await runInShell(argv, env, { input: typist.pick(["", "1\n", "\ufeff{\n"]) });
    check(`seed ${SEED}, round ${round}: ${JSON.stringify([argv, env]).slice(0, 1_000)}`, code, stdout + stderr);
    if (code !== 0) assert.ok((stdout + stderr).length > 0, `round ${round} says nothing`);
  }
});

test("services whose arguments are wrong end at once as processes, the same way", async (t) => {
  const lists = [
    ["worker", "--pool", "a b", `--slots=${SECRET}`.slice(0, 9)],
    ["manager", "--listen", "1:2:3", `--servers=nats://bob:pa/${SECRET}@h:1`],
    ["meter", "--max-workers", "-1", "--no-such", SECRET],
    ["up", "--pool", "p", "--workers", "\u001b[2J"],
    ["nats", "--port", "65536"],
    ["top", "\u0000".slice(1), "--meter", `http://u:${SECRET}@[`],
  ];
  const env = { NATS_URL: "nats://127.0.0.1:9", POOLMESH_PASSWORD: SECRET };
  const ends = await Promise.all(lists.map((argv) => startCli(t, argv, { env, input: "" }).exit(60_000)));
  for (const [i, { code, stdout, stderr }] of ends.entries()) {
    check(JSON.stringify(lists[i]), code, stdout + stderr);
    assert.ok(code === EXIT.usage || code === EXIT.config, `${lists[i]?.[0]} exits with ${code}: ${stderr}`);
  }
});
