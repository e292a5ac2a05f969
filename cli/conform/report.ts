/** Verdicts as lines for a terminal and as JSON. Pure but for the output's colours. */
import { plainText } from "../../mesh/plain-text.js";
import type { Output, Style } from "../output/output.js";
import { wrap } from "../output/wrap.js";
import type { Level } from "./level.js";
import type { Verdict } from "./run.js";
import type { Scenario, ScenarioGroup } from "./scenario.js";
import type { Target } from "./target.js";

const MARKS: Readonly<Record<Verdict["status"], readonly [mark: string, style: Style]>> = {
  passed: ["✔", "green"],
  failed: ["✖", "red"],
  not_tried: ["–", "yellow"],
};
/** Lines are no longer than this, however wide the terminal is. */
const MAX_COLUMNS = 110;
/** The least room for sentences. */
const MIN_ROOM = 24;
const DETAIL_LENGTH = 400;
/** "  ✔ ", and the gap behind the names. */
const INDENT = 4;
const GAP = 2;

const CLAIMS: Readonly<Record<Level, string>> = {
  bare: "bare: it sends no heartbeats",
  v0: "v0: its heartbeats say no protocol_version",
  v1: "protocol version 1",
  v2: "protocol version 2",
};

/** How many scenarios ended how. */
export interface Counts {
  passed: number;
  failed: number;
  notTried: number;
}

/** Whom the verdicts are about. @param isForced the caller named the level */
export function headLine(out: Output, { pool, worker, level }: Target, isForced: boolean): string {
  const who = worker === "" ? `a worker of pool ${pool}` : `worker ${worker} of pool ${pool}`;
  const claim = isForced ? `checked as ${level}` : CLAIMS[level];
  return `${out.style("bold", who)}, ${claim}`;
}

/** The lines of one verdict: a mark, the scenario's name, its sentence, and what was seen. @param names all that are shown */
export function verdictLines(out: Output, verdict: Verdict, names: readonly string[]): string[] {
  const [mark, style] = MARKS[verdict.status];
  const details = verdict.detail === "" ? [] : [[detailText(verdict), style] as const];
  return rowLines(out, out.style(style, mark), verdict.scenario, names, details);
}

/** The lines of a scenario for `--list`. */
export function listLines(out: Output, scenario: Scenario, names: readonly string[]): string[] {
  return rowLines(out, out.style("dim", "·"), scenario, names, [[`claimed by ${scenario.level} and above`, "dim"]]);
}

/** The last line. @param leftOut scenarios that the worker does not claim */
export function summaryLine(out: Output, { passed, failed, notTried }: Counts, leftOut: number): string {
  const texts = [
    out.style(failed === 0 ? "green" : "dim", `${passed} passed`),
    out.style(failed === 0 ? "dim" : "red", `${failed} failed`),
    out.style("dim", `${notTried} not tried`),
    ...(leftOut === 0 ? [] : [out.style("dim", `${leftOut} not claimed at this level`)]),
  ];
  return texts.join(", ");
}

/** One verdict as a JSON line. */
export function verdictJson({ scenario, status, detail, tookMs }: Verdict): string {
  const { name, level, sentence } = scenario;
  return JSON.stringify({
    scenario: name,
    level,
    status,
    sentence,
    ...(detail === "" ? {} : { detail: plainText(detail, DETAIL_LENGTH) }),
    tookMs: Math.round(tookMs),
  });
}

/** The title over the verdicts of a group, with an empty line before it. */
export function groupLines(out: Output, { title }: ScenarioGroup): string[] {
  return ["", out.style("bold", title)];
}

function detailText({ status, detail }: Verdict): string {
  return `${status === "not_tried" ? "not tried: " : "→ "}${plainText(detail, DETAIL_LENGTH)}`;
}

function rowLines(
  out: Output,
  mark: string,
  { name, sentence }: Scenario,
  names: readonly string[],
  details: readonly (readonly [text: string, style: Style])[],
): string[] {
  const nameWidth = Math.max(...names.map(({ length }) => length));
  const margin = INDENT + nameWidth + GAP;
  const room = Math.max(MIN_ROOM, Math.min(MAX_COLUMNS, out.columns) - margin);
  const [first = "", ...rest] = wrap(sentence, room);
  return [
    `  ${mark} ${name.padEnd(nameWidth + GAP)}${first}`,
    ...rest.map((line) => " ".repeat(margin) + line),
    ...details.flatMap(([text, style]) => wrap(text, room).map((line) => " ".repeat(margin) + out.style(style, line))),
  ];
}
