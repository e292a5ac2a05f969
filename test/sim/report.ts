/** How runs are shown to people. */
import { traceText } from "./history.js";
import { describeStep, type Plan } from "./plan.js";
import type { Run } from "./simulate.js";

const TIME_WIDTH = 10;

/** A plan, one line a part. */
export function planText(plan: Plan): string {
  const actors = [...plan.managers, ...plan.workers, ...plan.callers].map((each) => {
    const { name, ...rest } = each;
    const words = Object.entries(rest).map(([key, value]) => `${key}=${value}`);
    return `  ${[name, ...words].join(" ")}`;
  });
  const steps = plan.steps.map(
    (step) => `  ${step.atMs.toFixed(0).padStart(TIME_WIDTH - 3)} ms  ${describeStep(step)}`,
  );
  return [`seed ${plan.seed}, brokers ${plan.brokers}`, ...actors, ...steps].join("\n");
}

/** A trace, one event a line: true time in milliseconds, who, what. Violations are lines of it. */
export function traceLines(run: Run): string[] {
  const marks = run.violations.map(({ atMs, invariant, what }) => ({ atMs, line: `!!! ${invariant}: ${what}` }));
  const all = [...run.lines, ...marks].sort((a, b) => a.atMs - b.atMs);
  return all.map(({ atMs, line }) => `${atMs.toFixed(1).padStart(TIME_WIDTH)}  ${aligned(line)}`);
}

/** The network names a broker in a sentence; here it stands in the column of names. */
function aligned(line: string): string {
  const [, broker, what] = /^broker (\S+) (.*)$/.exec(line) ?? [];
  return broker === undefined || what === undefined ? line : traceText(broker, what);
}

/** What is wrong, one violation a line. */
export function violationText(run: Run): string {
  return run.violations.map(({ atMs, invariant, what }) => `${invariant} at ${atMs.toFixed(1)} ms: ${what}`).join("\n");
}
