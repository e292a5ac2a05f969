/**
 * Configuration: environment and flags become one checked object, or one
 * message that lists every mistake.
 *
 * Pure. The options themselves are declared in options.ts. A flag wins over the
 * environment, the environment over the default.
 */
import { PoolError } from "../errors.js";
import { redactUrls } from "./broker-urls.js";
import { conflictsOf } from "./conflicts.js";

/** One option: its name gives the flag (--heartbeat-interval-ms) and the variable (POOLMESH_HEARTBEAT_INTERVAL_MS). */
export interface OptionSpec<T> {
  /** Turns text into a value or throws an Error that says what is allowed. */
  readonly parse: (text: string) => T;
  /** Undefined: the option has no default. */
  readonly default: T | undefined;
  /** One line for `--help` and the README. */
  readonly help: string;
  /** The word for its value in `--help`, such as "N" or "URL"; "" for a switch. */
  readonly value: string;
  /** Environment variable besides the derived one, such as NATS_URL. */
  readonly alias?: string;
  /** Secrets are read from the environment only and never printed. */
  readonly secret?: true;
  /** A list whose flag may be given several times. */
  readonly many?: true;
}

export type OptionSpecs = Record<string, OptionSpec<unknown>>;

/** The object that a set of options becomes: a value where there is a default, else perhaps undefined. */
export type ConfigOf<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends OptionSpec<infer T> ? T : never;
};

const ENV_PREFIX = "POOLMESH_";
/** The exit code of a process whose configuration is wrong (sysexits' EX_CONFIG). */
export const EXIT_CONFIG = 78;
/** The broker refuses the credentials. */
export const EXIT_NO_PERMISSION = 77;

/** `heartbeatIntervalMs` → `POOLMESH_HEARTBEAT_INTERVAL_MS`. */
export function envName(option: string): string {
  return ENV_PREFIX + option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** `heartbeatIntervalMs` → `--heartbeat-interval-ms`. */
export function flagName(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * Reads a configuration.
 *
 * @param specs the options this program has
 * @param env the environment; keys that begin POOLMESH_ must be in `known`
 * @param flags option name → text, as the command line gave it
 * @param known every option of any program of ours, so that one environment serves all
 * @throws PoolError `invalid_argument`: one message, a line for each mistake
 */
export function readConfig<S extends OptionSpecs>(
  specs: S,
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
  known: OptionSpecs = specs,
): ConfigOf<S> {
  const mistakes = unknownKeys(env, known);
  const config: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const [source, text] = find(name, spec, env, flags);
    if (text === undefined) {
      config[name] = spec.default;
      continue;
    }
    try {
      config[name] = spec.parse(text);
    } catch (error) {
      const shown = spec.secret ? "" : ` (got ${quote(name, text)})`;
      mistakes.push(`${source}: ${(error as Error).message}${shown}`);
    }
  }
  mistakes.push(...conflictsOf(config));
  if (mistakes.length > 0) {
    const field = mistakes[0]?.split(":")[0];
    throw new PoolError("invalid_argument", `configuration:\n  ${mistakes.join("\n  ")}`, { field: field ?? "" });
  }
  return config as ConfigOf<S>;
}

function find(
  name: string,
  spec: OptionSpec<unknown>,
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
): [source: string, text: string | undefined] {
  if (!spec.secret && flags[name] !== undefined) return [flagName(name), flags[name]];
  const own = env[envName(name)];
  if (own !== undefined && own !== "") return [envName(name), own];
  const alias = spec.alias === undefined ? undefined : env[spec.alias];
  return alias === undefined || alias === "" ? [name, undefined] : [spec.alias ?? name, alias];
}

/**
 * What Kubernetes and Docker set for a service that is called `poolmesh` or `poolmesh-…`, such as
 * `POOLMESH_MANAGER_PORT_8080_TCP_ADDR`. The bare `…_PORT` is one of them when it has a URL such as `tcp://10.0.0.1:8080`.
 */
const SERVICE_LINK =
  /^POOLMESH_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const LINK_URL = /^(tcp|udp|sctp):\/\//;

function isServiceLink(key: string, value = ""): boolean {
  return SERVICE_LINK.test(key) || (/^POOLMESH_([A-Z0-9_]+_)?PORT$/.test(key) && LINK_URL.test(value));
}

function unknownKeys(env: Readonly<Record<string, string | undefined>>, known: OptionSpecs): string[] {
  const names = Object.keys(known).map(envName);
  return Object.keys(env)
    .filter((key) => key.startsWith(ENV_PREFIX) && !names.includes(key) && !isServiceLink(key, env[key]))
    .map((key) => {
      const near = nearest(key, names);
      return `${key}: unknown${near === undefined ? "" : `; did you mean ${near}?`}`;
    });
}

/** The nearest of `names` by edit distance; undefined when none is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(3, word.length / 3);
  for (const name of names) {
    const distance = editDistance(word, name);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitute = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitute, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

/** A refused value as it may be shown: nothing before an "@", which may end a password in any of them. */
function quote(name: string, text: string): string {
  const at = text.lastIndexOf("@");
  const after = at === -1 ? text : `${/^\w+:\/\//.exec(text)?.[0] ?? ""}${text.slice(at + 1)}`;
  const shown = name === "servers" ? redactUrls(after.split(",")).join(",") : after;
  return JSON.stringify(shown.length > 40 ? `${shown.slice(0, 40)}…` : shown);
}
