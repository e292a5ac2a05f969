/**
 * Runs scenarios one after another, each with a limit, and leaves the worker as it was.
 *
 * A kit that stood still itself judges nobody: a scenario that fails meanwhile is run again.
 */
import { StallDetector, within } from "../../mesh/link/runtime.js";
import { errorText } from "../exit-codes.js";
import type { Kit } from "./kit.js";
import type { Scenario } from "./scenario.js";
import { Failed, NotTried } from "./verdict.js";

/** What became of a scenario. */
export interface Verdict {
  readonly scenario: Scenario;
  readonly status: "passed" | "failed" | "not_tried";
  /** What was seen, or why it was not tried; "" when it passed. */
  readonly detail: string;
  readonly tookMs: number;
}

type Judgement = Pick<Verdict, "status" | "detail">;

/** What a scenario may take besides its slow jobs, in milliseconds, and how many of those it has at most. */
const LIMIT_MS = 15_000;
const MAX_SLOW_JOBS = 4;
/** The kit looks at the clock so often; when it is later than this, it stood still. In milliseconds. */
const TICK_MS = 20;
const STALL_MS = 40;
/** How often a scenario is run at most. */
const MAX_RUNS = 5;

/** Runs them in order; ends early after `signal`, and when the worker could not be put back. Never rejects. */
export async function* runScenarios(
  kit: Kit,
  scenarios: readonly Scenario[],
  signal: AbortSignal,
): AsyncGenerator<Verdict> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(new NotTried("interrupted")));
  });
  aborted.catch(() => undefined);
  const isOver = (): boolean => signal.aborted || kit.leftBehind.size > 0;
  for (const scenario of scenarios) {
    if (isOver()) return;
    const fromMs = kit.now();
    const { status, detail } = await undisturbed(kit, async () => {
      const judgement = await judge(kit, scenario, aborted);
      await kit.cleanUp();
      return { value: judgement, isSure: judgement.status !== "failed" || isOver() };
    });
    yield { scenario, status, detail, tookMs: kit.now() - fromMs };
  }
}

/**
 * Runs the slow job, or the quick one, to know how long it takes, and keeps the shortest time: a stall makes it longer.
 * A quick job that seems to be slow is run twice, since the worker may have had a stall of its own.
 */
export async function measure(kit: Kit, signal: AbortSignal): Promise<void> {
  const once = async () => ({ value: await kit.measure(), isSure: signal.aborted });
  await undisturbed(kit, once);
  if (kit.payloads.slow === undefined && kit.slowMs > 0) await undisturbed(kit, once);
}

/** The value of `run`, which is run again while it is not sure and this process stood still. */
async function undisturbed<T>(kit: Kit, run: () => Promise<{ value: T; isSure: boolean }>): Promise<T> {
  const { runtime } = kit.link.bus;
  for (let runs = 1; ; runs += 1) {
    const detector = new StallDetector(runtime.now(), TICK_MS, STALL_MS);
    const timer = runtime.every(TICK_MS, () => void detector.sign(runtime.now()));
    const { value, isSure } = await run();
    runtime.cancel(timer);
    detector.check(runtime.now());
    if (isSure || detector.stalls === 0 || runs === MAX_RUNS) return value;
  }
}

async function judge(kit: Kit, scenario: Scenario, aborted: Promise<never>): Promise<Judgement> {
  const limitMs = LIMIT_MS + MAX_SLOW_JOBS * kit.slowMs;
  const ended = Promise.race([scenario.run(kit).then(() => undefined), aborted]).catch(toJudgement);
  const late = { status: "failed", detail: `no end within ${Math.round(limitMs / 1_000)} s` } as const;
  return (await within(kit.link.bus.runtime, limitMs, ended, late)) ?? { status: "passed", detail: "" };
}

function toJudgement(thrown: unknown): Judgement {
  if (thrown instanceof NotTried) return { status: "not_tried", detail: thrown.message };
  return { status: "failed", detail: thrown instanceof Failed ? thrown.message : errorText(thrown) };
}
