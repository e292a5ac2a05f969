/** The demo's last words. Pure. */
import type { Check } from "./check-digests.js";
import { FILES_PER_JOB } from "./list-files.js";
import type { Tally } from "./tally.js";
import type { Utilization } from "./utilization.js";

/** What there is to tell. */
export interface SummaryFacts {
  readonly tally: Tally;
  readonly elapsedMs: number;
  readonly utilization: Utilization;
  readonly slots: number;
  readonly check: Check;
  /** Paints where colours are wanted. */
  readonly style: (style: "bold" | "dim" | "green" | "red" | "cyan", text: string) => string;
}

const LABEL_WIDTH = 15;
const BAR_WIDTH = 24;
const RULE = "─".repeat(64);

/** Lines for a terminal or a pipe. */
export function summaryLines(facts: SummaryFacts): string[] {
  const { tally, elapsedMs, style } = facts;
  const { read, gzipped } = tally.bytes;
  const done = tally.digests.length;
  const failed = tally.failures.length;
  const rows: [string, string][] = [
    ["files", `${number(done)}, ${megabytes(read)} read, ${megabytes(gzipped)} when gzipped`],
    ["jobs", `${number(tally.jobs + failed)} of ${FILES_PER_JOB} files, ${(elapsedMs / 1_000).toFixed(1)} s in all`],
    ["failed", failed === 0 ? style("green", "0") : style("red", `${number(failed)}, first: ${tally.failures[0]}`)],
    ["files/s", number((done / elapsedMs) * 1_000)],
    ["wait", `p50 ${tally.waitMs(0.5).toFixed(1)} ms, p99 ${tally.waitMs(0.99).toFixed(1)} ms`],
    ["utilization", utilizationText(facts)],
    ...tally.shares.map(({ worker, share }, i): [string, string] => [
      i === 0 ? "worker share" : "",
      `${meter(share, style)} ${worker}`,
    ]),
    ["digests", checkText(facts)],
  ];
  const lines = rows.map(([label, text]) => `  ${style("dim", label.padEnd(LABEL_WIDTH))}${text}`);
  return [
    "",
    `  ${style("bold", "poolmesh demo")}`,
    style("dim", `  ${RULE}`),
    ...lines,
    style("dim", `  ${RULE}`),
    "",
  ];
}

function utilizationText({ utilization: { mean, warmUpMs }, slots, style }: SummaryFacts): string {
  if (mean === undefined) return "unknown";
  return `${meter(mean, style)} of ${slots} slots, after ${(warmUpMs / 1_000).toFixed(1)} s in which threads loaded`;
}

function checkText({ check, style }: SummaryFacts): string {
  const { program, checked, different } = check;
  if (program === undefined) return style("red", "not checked: no sha256sum, shasum or openssl on this machine");
  if (different.length > 0)
    return style("red", `${different.length} of ${checked} differ from ${program}: ${different[0]}`);
  return style("green", `${checked} of ${checked} agree with ${program}`);
}

function meter(share: number, style: SummaryFacts["style"]): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  const percent = `${(share * 100).toFixed(1)} %`.padStart(7);
  return `${percent} ${style("cyan", "█".repeat(full))}${style("dim", "░".repeat(BAR_WIDTH - full))}`;
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
