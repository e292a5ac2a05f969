/** Runs scenarios one after another, each with a limit, and leaves the worker as it was. */
import { within } from "../../mesh/link/runtime.js";
import { errorText } from "../exit-codes.js";
import type { Kit } from "./kit.js";
import { Failed, NotTried, type Scenario } from "./scenario.js";

/** What became of a scenario. */
export interface Verdict {
  readonly scenario: Scenario;
  readonly status: "passed" | "failed" | "not_tried";
  /** What was seen, or why it was not tried; "" when it passed. */
  readonly detail: string;
  readonly tookMs: number;
}

/** What a scenario may take besides its slow jobs, in milliseconds, and how many of those it has at most. */
const LIMIT_MS = 15_000;
const MAX_SLOW_JOBS = 4;

/** Runs them in order; after `signal` the rest is left out. Never rejects. */
export async function* runScenarios(
  kit: Kit,
  scenarios: readonly Scenario[],
  signal: AbortSignal,
): AsyncGenerator<Verdict> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(new NotTried("interrupted")));
  });
  aborted.catch(() => undefined);
  for (const scenario of scenarios) {
    if (signal.aborted) return;
    const fromMs = kit.now();
    const { status, detail } = await judge(kit, scenario, aborted);
    await kit.cleanUp();
    yield { scenario, status, detail, tookMs: kit.now() - fromMs };
  }
}

async function judge(
  kit: Kit,
  scenario: Scenario,
  aborted: Promise<never>,
): Promise<Pick<Verdict, "status" | "detail">> {
  const limitMs = LIMIT_MS + MAX_SLOW_JOBS * kit.slowMs;
  const ended = Promise.race([scenario.run(kit).then(() => undefined), aborted]).catch(toVerdict);
  const late = { status: "failed", detail: `no end within ${Math.round(limitMs / 1_000)} s` } as const;
  return (await within(kit.link.bus.runtime, limitMs, ended, late)) ?? { status: "passed", detail: "" };
}

function toVerdict(thrown: unknown): Pick<Verdict, "status" | "detail"> {
  if (thrown instanceof NotTried) return { status: "not_tried", detail: thrown.message };
  return { status: "failed", detail: thrown instanceof Failed ? thrown.message : errorText(thrown) };
}
