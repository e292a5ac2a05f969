/**
 * Declared options as flags of a command, and flags as a configuration.
 *
 * The declarations are in mesh/process/options.ts; here they get their place in
 * `--help`. A secret has no flag.
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { BusOptions } from "../mesh/link/bus.js";
import { toBusOptions } from "../mesh/process/bus-config.js";
import { type ConfigOf, envName, flagName, type OptionSpecs, readConfig } from "../mesh/process/config.js";
import type { Listen } from "../mesh/process/options.js";
import { BUS_OPTIONS, OPTIONS, pick } from "../mesh/process/options.js";
import type { Shell } from "./shell.js";

/** The broker's options as declarations. */
export const BUS_SPECS = pick(BUS_OPTIONS);

/** With the question why, and the start of the process, a command that reaches nobody ends within five seconds. */
const CONNECT_TIMEOUT_MS = 2_500;
const BROKER_GROUP = "Broker:";
const isBusOption = new Set<string>(BUS_OPTIONS.filter((name) => name !== "logLevel"));

/** Adds a flag for each declared option: those of the broker last, in a group of their own. */
export function addSpecs(command: Command, specs: OptionSpecs): void {
  const names = Object.keys(specs);
  const ordered = [...names.filter((name) => !isBusOption.has(name)), ...names.filter((name) => isBusOption.has(name))];
  for (const name of ordered) addSpec(command, specs, name);
  const secrets = names.filter((name) => specs[name]?.secret).map(envName);
  if (secrets.length > 0) {
    command.addHelpText("after", `\nSecrets come from the environment only: ${secrets.join(", ")}.`);
  }
}

function addSpec(command: Command, specs: OptionSpecs, name: string): void {
  const spec = specs[name];
  if (spec === undefined || spec.secret) return;
  const flag = spec.value === "" ? flagName(name) : `${flagName(name)} <${spec.value}>`;
  const option = new Option(flag, `${spec.help}${shownDefault(spec.default)}`);
  if (isBusOption.has(name)) option.helpGroup(BROKER_GROUP);
  if (spec.many) option.argParser((text, before?: string) => (before === undefined ? text : `${before},${text}`));
  command.addOption(option);
}

/** The flags that were given, as text, for readConfig. */
export function toFlags(options: Readonly<Record<string, unknown>>): Record<string, string | undefined> {
  const entries = Object.entries(options).filter(([, value]) => typeof value === "string" || value === true);
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

/**
 * A command's configuration from its flags and the environment.
 *
 * @throws PoolError `invalid_argument` listing every mistake
 */
export function readOptions<S extends OptionSpecs>(
  shell: Shell,
  options: Readonly<Record<string, unknown>>,
  specs: S,
): ConfigOf<S> {
  return readConfig(specs, shell.env, toFlags(options), OPTIONS);
}

/** How a command connects: it does not wait for a broker that is not there, and not long for one that says nothing. */
export function toCliBus(config: ConfigOf<typeof BUS_SPECS>): BusOptions {
  const impatience = { waitOnFirstConnect: false, connectTimeoutMs: CONNECT_TIMEOUT_MS };
  return { name: "poolmesh-cli", ...toBusOptions(config), ...impatience };
}

/** For a flag of the command line alone: a whole number within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Use a whole number from ${min} to ${max}.`);
  };
}

/** A default as `--help` and the README show it. */
function shownDefault(value: unknown): string {
  const text = defaultText(value);
  return text === "" ? "" : ` (default ${text})`;
}

/** A default as text; "" for none. */
export function defaultText(value: unknown): string {
  if (value === undefined || value === false) return "";
  if (Array.isArray(value)) return value.join(",");
  if (typeof value !== "object" || value === null) return String(value);
  const { host, port } = value as Partial<Listen>;
  return host === undefined ? "" : `${host}:${port}`;
}
