/** `poolmesh conform`: does a worker in any language keep to the protocol? */
import { type Command, Option } from "commander";
import { PoolError } from "../../mesh/errors.js";
import { nearest } from "../../mesh/process/config.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { type Link, withLink } from "../link.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { Hearing } from "./hearing.js";
import { Kit, type Payloads } from "./kit.js";
import { claims, LEVELS, type Level } from "./level.js";
import { type Counts, groupLines, headLine, listLines, summaryLine, verdictJson, verdictLines } from "./report.js";
import { measure, runScenarios, type Verdict } from "./run.js";
import type { Scenario, ScenarioGroup } from "./scenario.js";
import { GROUPS, SCENARIOS } from "./scenarios/all.js";
import type { Target } from "./target.js";
import { findTarget } from "./target.js";

const HELP = `
Acts as a manager towards one worker of a live pool, message by message, and prints for
each sentence of docs/protocol.md whether the worker keeps to it: ✔ passed, ✖ failed,
– not tried, with the reason. Jobs are really run, and the worker is paused and resumed
a few times. So start the worker in a pool of its own, without other jobs.

What is checked is what the worker claims by its heartbeat: bare (none), v0 (no
protocol_version), v1 or v2. The payloads are those of a worker that adds one; for any
other give your own.

Exit codes: 0 all passed, 1 some failed, 69 no worker is there.

Examples:
  poolmesh conform --pool adder
  poolmesh conform --pool echo --worker w1 --payload hello --expect hello
  poolmesh conform --pool adder --slow-payload '{"number":41,"waitMs":400}' --drain
  poolmesh conform --pool adder --json | jq -r 'select(.status == "failed") | .scenario'`;

interface ConformFlags {
  readonly pool?: string;
  readonly worker?: string;
  readonly level?: Level;
  readonly scenario?: readonly string[];
  readonly payload?: string;
  readonly expect?: string;
  readonly slowPayload?: string;
  readonly failingPayload?: string;
  readonly progressPayload?: string;
  readonly drain?: boolean;
  readonly json?: boolean;
  readonly list?: boolean;
}

/** What the example workers are given: they add one to a number. */
const ADDER = { quick: "41", expected: "42", failing: '"not a number"' } as const;

export function define(command: Command, shell: Shell): void {
  command
    .option("--pool <NAME>", "the worker's pool")
    .option("--worker <ID>", "which worker, when the pool has several")
    .addOption(new Option("--level <LEVEL>", "what to check; default what its heartbeat claims").choices(LEVELS))
    .option("--scenario <NAME>", "only this scenario; may be repeated", collect)
    .option("--payload <TEXT>", `a job that ends at once (default ${ADDER.quick})`)
    .option("--expect <TEXT>", `its result (default ${ADDER.expected}; with --payload any)`)
    .option("--slow-payload <TEXT>", "a job that runs for 0.15 to 5 s; needed by scenarios that watch a running job")
    .option("--failing-payload <TEXT>", `a job that fails (default ${ADDER.failing})`)
    .option("--progress-payload <TEXT>", "a job that reports progress")
    .option("--drain", "let the last scenarios drain the worker, which ends it")
    .option("--json", "print a JSON line for each scenario, and one with the counts")
    .option("--list", "print the scenarios and run none")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  command.action(async (flags: ConformFlags) => {
    const chosen = choose(flags.scenario);
    if (flags.list) return list(shell, chosen);
    const pool = checkName("pool", flags.pool ?? missingPool());
    const worker = flags.worker === undefined ? undefined : checkName("worker", flags.worker);
    await withLink(shell, { ...flags, pool: undefined }, (link) =>
      conform(shell, link, { ...flags, pool, worker }, chosen),
    );
  });
}

type Wish = Omit<ConformFlags, "pool" | "worker"> & { readonly pool: string; readonly worker: string | undefined };

async function conform(shell: Shell, link: Link, wish: Wish, chosen: ReadonlySet<Scenario>): Promise<void> {
  const hearing = new Hearing(link, wish.pool);
  const interrupted = new AbortController();
  const stopListening = shell.onSignal(() => interrupted.abort());
  const payloads = toPayloads(wish);
  try {
    const { pool, worker, level } = wish;
    const target = await findTarget(link, hearing, { pool, worker, level }, payloads.quick);
    const kit = new Kit(link, target, hearing, payloads, wish.drain === true);
    await warn(shell, hearing, target);
    await check(shell, kit, wish, chosen, interrupted.signal).finally(() => kit.stop());
    for (const what of kit.leftBehind) await tellLeft(shell, target, what);
    if (interrupted.signal.aborted) shell.exitCode = EXIT.interrupted;
  } finally {
    stopListening();
    hearing.stop();
  }
}

/** Runs what the worker claims, and prints each verdict when it is there. */
async function check(
  shell: Shell,
  kit: Kit,
  wish: Wish,
  chosen: ReadonlySet<Scenario>,
  signal: AbortSignal,
): Promise<void> {
  const { level, worker, pool } = kit.target;
  const claimed = SCENARIOS.filter((each) => chosen.has(each) && claims(level, each.level));
  const names = claimed.map(({ name }) => name);
  const counts: Counts = { passed: 0, failed: 0, notTried: 0 };
  const { stdout } = shell;
  if (!wish.json) await stdout.line(headLine(stdout, kit.target, wish.level !== undefined));
  await measure(kit, signal);
  let group: ScenarioGroup | undefined;
  for await (const verdict of runScenarios(kit, claimed, signal)) {
    count(counts, verdict);
    if (wish.json) {
      await stdout.line(verdictJson(verdict));
      continue;
    }
    const own = GROUPS.find(({ scenarios }) => scenarios.includes(verdict.scenario));
    const title = own === undefined || own === group ? [] : groupLines(stdout, own);
    group = own;
    for (const line of [...title, ...verdictLines(stdout, verdict, names)]) await stdout.line(line);
  }
  const leftOut = chosen.size - claimed.length;
  if (wish.json) await stdout.line(JSON.stringify({ pool, worker, level, ...counts }));
  else for (const line of ["", summaryLine(stdout, counts, leftOut)]) await stdout.line(line);
  shell.exitCode = counts.failed === 0 ? EXIT.ok : EXIT.failed;
}

function count(counts: Counts, { status }: Verdict): void {
  if (status === "passed") counts.passed += 1;
  else if (status === "failed") counts.failed += 1;
  else counts.notTried += 1;
}

/** Other jobs take slots, which scenarios count. */
async function warn({ stderr }: Shell, hearing: Hearing, { pool, worker, alone }: Target): Promise<void> {
  const others = hearing.otherJobs + (hearing.last(worker)?.busy ?? 0);
  const warning = others > 0 ? `pool ${pool} has other jobs: scenarios that count slots may fail` : "";
  const sharing = alone ? "" : `pool ${pool} has other workers: offers to the whole pool are not tried`;
  for (const text of [warning, sharing].filter((each) => each !== "")) {
    await stderr.line(`${stderr.style("yellow", "warning:")} ${text}; use a pool of its own`);
  }
}

/** The worker did not answer when it was to be put back as it was. */
async function tellLeft({ stderr }: Shell, { worker }: Target, what: string): Promise<void> {
  const text = `worker ${worker} may still be ${what}: poolmesh workers shows it, poolmesh resume and resize mend it`;
  await stderr.line(`${stderr.style("yellow", "warning:")} ${text}`);
}

async function list({ stdout }: Shell, chosen: ReadonlySet<Scenario>): Promise<void> {
  const names = [...chosen].map(({ name }) => name);
  for (const group of GROUPS) {
    const scenarios = group.scenarios.filter((each) => chosen.has(each));
    if (scenarios.length === 0) continue;
    const lines = scenarios.flatMap((each) => listLines(stdout, each, names));
    for (const line of [...groupLines(stdout, group).slice(group === GROUPS[0] ? 1 : 0), ...lines]) {
      await stdout.line(line);
    }
  }
}

/** @throws PoolError `invalid_argument` for a name that no scenario has */
function choose(names: readonly string[] | undefined): ReadonlySet<Scenario> {
  if (names === undefined) return new Set(SCENARIOS);
  return new Set(
    names.map((name) => {
      const found = SCENARIOS.find((each) => each.name === name);
      if (found !== undefined) return found;
      const near = nearest(
        name,
        SCENARIOS.map((each) => each.name),
      );
      const hint = near === undefined ? "see poolmesh conform --list" : `did you mean ${near}?`;
      throw new PoolError("invalid_argument", `scenario: there is none of this name; ${hint}`, { field: "scenario" });
    }),
  );
}

function toPayloads({ payload, expect, slowPayload, failingPayload, progressPayload }: Wish): Payloads {
  const bytes = (text: string | undefined): Uint8Array | undefined =>
    text === undefined ? undefined : new TextEncoder().encode(text);
  return {
    quick: new TextEncoder().encode(payload ?? ADDER.quick),
    expected: expect ?? (payload === undefined ? ADDER.expected : undefined),
    slow: bytes(slowPayload),
    failing: bytes(failingPayload ?? ADDER.failing),
    progress: bytes(progressPayload),
  };
}

function missingPool(): never {
  throw new PoolError("invalid_argument", "pool: say --pool NAME", { field: "pool" });
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
