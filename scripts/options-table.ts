/**
 * The README's table of options, made from their declarations.
 *
 * `node --import tsx scripts/options-table.ts` prints it; with --write it is put
 * between the README's markers.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defaultText } from "../cli/spec-options.js";
import { UP_SPECS } from "../cli/up/up-options.js";
import { envName, flagName, type OptionSpec, type OptionSpecs } from "../mesh/process/config.js";
import { OPTIONS } from "../mesh/process/options.js";
import { MANAGER_LISTEN, MANAGER_OPTIONS } from "../services/manager/config.js";
import { METER_LISTEN, METER_OPTIONS } from "../services/meter/config.js";
import { WORKER_CONFIG } from "../services/worker/config.js";

export const BEGIN = "<!-- options -->";
export const END = "<!-- /options -->";
const README = fileURLToPath(new URL("../README.md", import.meta.url));

const PROGRAMS: readonly (readonly [name: string, specs: OptionSpecs])[] = [
  ["up", UP_SPECS],
  ["manager", MANAGER_OPTIONS],
  ["worker", WORKER_CONFIG],
  ["meter", METER_OPTIONS],
];

/** What stands for the commands that call a manager or a meter over HTTP. */
const callersOf = (name: string): string => `commands with \`--url\`${name === "url" ? "" : ", and `top`"}`;

/** The table as Markdown, with a line end. */
export function optionsTable(): string {
  const rows = Object.entries(OPTIONS).map(([name, spec]) => row(name, spec as OptionSpec<unknown>));
  return ["| variable | flag | default | meaning | programs |", "|---|---|---|---|---|", ...rows, ""].join("\n");
}

/** What stands between the markers of a README; undefined when they are not there. */
export function tableIn(readme: string): string | undefined {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  return from === -1 || to < from ? undefined : readme.slice(from + BEGIN.length + 1, to);
}

function row(name: string, spec: OptionSpec<unknown>): string {
  const variables = [envName(name), ...(spec.alias === undefined ? [] : [spec.alias])].map(code).join(", ");
  const flag = spec.secret
    ? "none: a secret"
    : code(spec.value === "" ? flagName(name) : `${flagName(name)} ${spec.value}`);
  const used = PROGRAMS.filter(([, specs]) => name in specs).map(([program]) => program);
  const shown = used.length === PROGRAMS.length ? "all" : used.join(", ") || callersOf(name);
  return `| ${variables} | ${flag} | ${defaultOf(name, spec)} | ${spec.help} | ${shown} |`;
}

function defaultOf(name: string, spec: OptionSpec<unknown>): string {
  if (name === "listen")
    return `manager ${code(defaultText(MANAGER_LISTEN))}, meter ${code(defaultText(METER_LISTEN))}`;
  if (spec.value === "" && !spec.secret) return "off";
  const text = defaultText(spec.default);
  return text === "" ? "" : code(text);
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function main(write: boolean): void {
  if (!write) {
    process.stdout.write(optionsTable());
    return;
  }
  const readme = readFileSync(README, "utf8");
  const old = tableIn(readme);
  if (old === undefined) throw new Error(`README.md has no ${BEGIN} … ${END}`);
  writeFileSync(
    README,
    readme.replace(`${BEGIN}\n${old}${END}`, () => `${BEGIN}\n${optionsTable()}${END}`),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.includes("--write"));
