/**
 * Every option of every program, declared once: parser, default, unit, help.
 *
 * A service's config.ts picks those it has; the README's table and `--help` are
 * made from the same declarations.
 */

import { checkCidr } from "../http/trusted-proxies.js";
import { MAX_TIMEOUT_MS } from "../wire/headers.js";
import { isName } from "../wire/subjects.js";
import { parseBrokerUrl, splitBrokerUrls } from "./broker-urls.js";
import type { OptionSpec } from "./config.js";
import { LOG_LEVELS, type LogLevel } from "./log.js";

/** A host and a port; port 0 is any free one. */
export interface Listen {
  readonly host: string;
  readonly port: number;
}

export const ISOLATIONS = ["inline", "thread", "process"] as const;
/** Where a handler runs: on the worker's event loop, in threads, or in child processes. */
export type IsolationName = (typeof ISOLATIONS)[number];

/** All options by name. */
export const OPTIONS = {
  servers: option(urls, ["nats://127.0.0.1:4222"], "URL,…", "NATS broker URLs", { alias: "NATS_URL" }),
  user: option(nonEmpty, undefined, "NAME", "NATS user"),
  password: option(nonEmpty, undefined, "", "NATS password", { secret: true }),
  token: option(nonEmpty, undefined, "", "NATS token", { secret: true }),
  credsFile: option(nonEmpty, undefined, "FILE", "NATS .creds file", { alias: "NATS_CREDS" }),
  nkeyFile: option(nonEmpty, undefined, "FILE", "file with the seed of an nkey user", { alias: "NATS_NKEY" }),
  natsTlsCaFile: option(nonEmpty, undefined, "FILE", "CA certificates (PEM) that the broker's is checked against"),
  natsTlsCertFile: option(nonEmpty, undefined, "FILE", "certificate (PEM) that is shown to the broker"),
  natsTlsKeyFile: option(nonEmpty, undefined, "FILE", "key of that certificate (PEM)"),
  inboxPrefix: option(subjectPrefix, undefined, "PREFIX", "prefix of reply inboxes, for restricted accounts"),
  prefix: option(subjectPrefix, "pool", "PREFIX", "first token of every subject"),
  logLevel: option(oneOf(LOG_LEVELS), "info" as LogLevel, "LEVEL", `one of ${LOG_LEVELS.join(", ")}`),
  pool: option(name, undefined, "NAME", "pool to serve"),
  pools: option(names, undefined, "NAME,…", "pools to serve; default all"),
  id: option(name, undefined, "NAME", "this service's id; default made from host and process"),
  graceMs: option(integer(0, 3_600_000), 10_000, "MS", "time for running jobs at SIGTERM, milliseconds"),
  heartbeatIntervalMs: option(integer(100, 60_000), 1_000, "MS", "time between two heartbeats, milliseconds"),
  coalesceMs: option(integer(1, 10_000), 50, "MS", "at most one heartbeat on change in this time, milliseconds"),
  labels: option(labels, {}, "K=V,…", "labels of this worker"),
  slots: option(integer(1, 65_535), 1, "N", "jobs that run at once"),
  handler: option(nonEmpty, undefined, "FILE", "file that exports run(job), TypeScript or JavaScript"),
  exec: option(nonEmpty, undefined, "CMD", "command to run for each job: payload on stdin, result from stdout"),
  isolation: option(
    oneOf(ISOLATIONS),
    "inline" as IsolationName,
    "WHERE",
    "where the handler runs: inline, thread or process",
  ),
  recycleAfter: option(
    integer(1, 1_000_000_000),
    undefined,
    "N",
    "replace a thread or process after this many jobs; default never",
  ),
  loadTimeoutMs: option(
    integer(1, 3_600_000),
    10_000,
    "MS",
    "time for the handler's file, its setup and its teardown, each, milliseconds",
  ),
  acceptAfterMs: option(integer(1, 60_000), 25, "MS", "say accepted when a job takes longer, milliseconds"),
  abortGraceMs: option(integer(0, 600_000), 2_000, "MS", "time an aborted handler has to settle, milliseconds"),
  listen: option(listen, undefined, "HOST:PORT", "address to serve HTTP on"),
  metricsListen: option(
    listen,
    undefined,
    "HOST:PORT",
    "address where a worker serves /metrics, /healthz and /readyz; default none",
  ),
  tlsCertFile: option(
    nonEmpty,
    undefined,
    "FILE",
    "certificate (PEM) to serve HTTP over TLS with; read again when it changes",
  ),
  tlsKeyFile: option(nonEmpty, undefined, "FILE", "key of that certificate (PEM)"),
  tlsClientCaFile: option(
    nonEmpty,
    undefined,
    "FILE",
    "CA certificates (PEM) that client certificates are checked against",
  ),
  policyFile: option(
    nonEmpty,
    undefined,
    "FILE",
    "who may do what (JSON); see docs/security.md; read again when it changes",
  ),
  insecure: option(
    bool,
    false,
    "",
    "listen beyond loopback without TLS or without a policy: anybody may read and submit",
  ),
  allowedHosts: option(hosts, [], "HOST,…", "Host names to answer to besides loopback ones"),
  trustedProxy: option(
    cidrs,
    [],
    "CIDR,…",
    "proxies whose X-Forwarded-For says who called, such as 127.0.0.1; may be repeated; without it that header is ignored",
    { many: true },
  ),
  timeoutMs: option(
    integer(1, MAX_TIMEOUT_MS),
    30_000,
    "MS",
    "deadline of a job that names none, milliseconds from submit",
  ),
  acceptTimeoutMs: option(
    integer(10, 600_000),
    250,
    "MS",
    "time to accept an offer before it is made again, milliseconds",
  ),
  parkedLimit: option(integer(0, 10_000_000), 10_000, "N", "jobs held for a free slot, per pool"),
  parkedBytesLimit: option(integer(0, 64 * 2 ** 30), 256 * 2 ** 20, "BYTES", "payload bytes of jobs held, per pool"),
  clientShare: option(
    fraction,
    undefined,
    "0…1",
    "share of the parked queue, in jobs and in bytes, that one client may hold; default 1, with a policy 0.5",
  ),
  jobHistory: option(
    integer(0, 100_000),
    500,
    "N",
    "ended jobs that are remembered for each pool: so many with a result, and as many without",
  ),
  showPayloads: option(
    bool,
    false,
    "",
    "show the beginnings of payloads and results to who may read any outcome, as in poolmesh job",
  ),
  jobEvents: option(bool, false, "", "tell what happens to jobs on pool.P.event.* although nobody asks for it"),
  maxPools: option(integer(1, 100_000), 1_000, "N", "pools known at once"),
  bare: option(bool, false, "", "the pool has workers that send no heartbeats: no accept timeout"),
  durable: option(
    bool,
    false,
    "",
    "the durable lane in streams of the broker's JetStream: a manager runs its jobs too, a meter shows it",
  ),
  largePayloads: option(
    bool,
    false,
    "",
    "payloads and results over the broker's limit go through the object store of its JetStream",
  ),
  control: option(bool, false, "", "let the page and ControlWorker drain, pause and resume, for who may"),
  controlToken: option(
    nonEmpty,
    undefined,
    "",
    "token that control of workers needs without a policy; default in a file of yours",
    { secret: true },
  ),
  url: option(nonEmpty, undefined, "URL", "manager to call over HTTP, instead of a connection to the broker"),
  caFile: option(nonEmpty, undefined, "FILE", "CA certificates (PEM) that the server's certificate is checked against"),
  certFile: option(nonEmpty, undefined, "FILE", "client certificate (PEM) to show"),
  keyFile: option(nonEmpty, undefined, "FILE", "key of the client certificate (PEM)"),
  tokenFile: option(nonEmpty, undefined, "FILE", "file with the bearer token to send"),
  maxWorkers: option(integer(1, 1_000_000), 20_000, "N", "workers known at once"),
  maxStreams: option(integer(1, 100_000), 5_000, "N", "streams served at once"),
  maxCallerStreams: option(integer(1, 100_000), 1_000, "N", "streams served at once to one caller, with a policy"),
} as const;

/** The names of all options. */
export type OptionName = keyof typeof OPTIONS;

/** The options of the connection to the broker, which every program has. */
export const BUS_OPTIONS = [
  "servers",
  "user",
  "password",
  "token",
  "credsFile",
  "nkeyFile",
  "natsTlsCaFile",
  "natsTlsCertFile",
  "natsTlsKeyFile",
  "inboxPrefix",
  "prefix",
  "logLevel",
] as const satisfies readonly OptionName[];

/** The options of who may call a service, and whether nobody else can listen. */
export const ACCESS_OPTIONS = [
  "tlsCertFile",
  "tlsKeyFile",
  "tlsClientCaFile",
  "policyFile",
  "insecure",
  "allowedHosts",
  "trustedProxy",
] as const satisfies readonly OptionName[];

/** The options of how a service is open to its callers. */
export const EDGE_OPTIONS = [
  "listen",
  ...ACCESS_OPTIONS,
  "maxStreams",
  "maxCallerStreams",
  "controlToken",
] as const satisfies readonly OptionName[];

/** The options of a command that calls a manager or a meter over HTTP, besides the URL. */
export const CALLER_OPTIONS = ["caFile", "tokenFile", "certFile", "keyFile"] as const satisfies readonly OptionName[];

/** The declarations of some options. */
export function pick<N extends OptionName>(names: readonly N[]): { readonly [K in N]: (typeof OPTIONS)[K] } {
  return Object.fromEntries(names.map((each) => [each, OPTIONS[each]])) as { [K in N]: (typeof OPTIONS)[K] };
}

/** What few options have. */
type More = Pick<OptionSpec<unknown>, "alias" | "secret" | "many">;

function option<T>(
  parse: (text: string) => T,
  fallback: undefined,
  value: string,
  help: string,
  more?: More,
): OptionSpec<T | undefined>;
function option<T>(parse: (text: string) => T, fallback: T, value: string, help: string, more?: More): OptionSpec<T>;
function option<T>(
  parse: (text: string) => T,
  fallback: T | undefined,
  value: string,
  help: string,
  more: More = {},
): OptionSpec<T | undefined> {
  return { parse, default: fallback, value, help, ...more };
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new Error(`use a whole number from ${min} to ${max}`);
  };
}

function fraction(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value <= 1) return value;
  throw new Error("use a number over 0, at most 1");
}

function nonEmpty(text: string): string {
  if (text.trim() !== "") return text;
  throw new Error("must not be empty");
}

function bool(text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new Error("use true or false");
}

function oneOf<T extends string>(allowed: readonly T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((each) => each === text);
    if (found !== undefined) return found;
    throw new Error(`use one of ${allowed.join(", ")}`);
  };
}

function name(text: string): string {
  if (isName(text)) return text;
  throw new Error('use 1 to 63 letters, digits, "_" or "-"');
}

function names(text: string): string[] {
  return text.split(",").map((each) => name(each.trim()));
}

function subjectPrefix(text: string): string {
  if (/^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,3}$/.test(text)) return text;
  throw new Error('use one to four names joined by "."');
}

function urls(text: string): string[] {
  return splitBrokerUrls(text).map((url) => {
    parseBrokerUrl(url);
    return url.includes("://") ? url : `nats://${url}`;
  });
}

function listen(text: string): Listen {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) throw new Error("use HOST:PORT, such as 127.0.0.1:8080");
  const host = (match[1] ?? "").replace(/^\[|\]$/g, "");
  return { host: host === "" ? "127.0.0.1" : host, port };
}

function hosts(text: string): string[] {
  return text.split(",").map((each) => {
    const host = each.trim().toLowerCase();
    if (/^[a-z0-9.-]{1,253}$/.test(host)) return host;
    throw new Error("use host names without a port");
  });
}

function cidrs(text: string): string[] {
  return text.split(",").map((each) => checkCidr(each.trim()));
}

function labels(text: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const pair of text.split(",").filter((each) => each !== "")) {
    const match = /^([A-Za-z0-9][A-Za-z0-9_./-]{0,62})=([\x20-\x7e]{0,63})$/.exec(pair);
    if (match === null) throw new Error("use KEY=VALUE pairs joined by commas");
    result[match[1] as string] = match[2] as string;
  }
  if (Object.keys(result).length > 32) throw new Error("at most 32 labels");
  return result;
}
