/** `poolmesh healthz`: whether the manager or meter of this host is up, for a container's health check. */
import { get as httpGet } from "node:http";
import { get as httpsGet } from "node:https";
import type { Command } from "commander";
import { PoolError } from "../../mesh/errors.js";
import { type Listen, pick } from "../../mesh/process/options.js";
import { EXIT } from "../exit-codes.js";
import type { Shell } from "../shell.js";
import { addSpecs, readOptions, wholeNumber } from "../spec-options.js";

const HELP = `
Asks for /healthz: whether the process serves. With --ready for /readyz: whether it
is connected to the broker and not stopping. It finds the service by the options that
the service itself has: POOLMESH_LISTEN, and https with POOLMESH_TLS_CERT_FILE. The
certificate is not checked: it asks this host only, and sends nothing that is secret.
Ends with 0 when the answer is "ok", and with 69 otherwise.

Examples:
  poolmesh healthz
  poolmesh healthz --ready --listen 127.0.0.1:8090`;

const SPECS = pick(["listen", "tlsCertFile", "tlsKeyFile"]);
const DEFAULT_LISTEN: Listen = { host: "127.0.0.1", port: 8080 };
const DEFAULT_WITHIN_MS = 3_000;
/** The longest answer that is read, in characters. */
const MAX_ANSWER = 1_000;

interface HealthzFlags extends Record<string, unknown> {
  readonly ready?: boolean;
  readonly withinMs?: number;
}

export function define(command: Command, shell: Shell): void {
  command
    .option("--ready", "ask whether it can take work, and not only whether it serves")
    .option("--within-ms <MS>", `time for the answer (default ${DEFAULT_WITHIN_MS})`, wholeNumber(1, 600_000))
    .addHelpText("after", HELP);
  addSpecs(command, SPECS);
  command.action(async (flags: HealthzFlags) => {
    const { listen, tlsCertFile } = readOptions(shell, flags, SPECS);
    const scheme = tlsCertFile === undefined ? "http" : "https";
    const url = `${scheme}://${ownAddress(listen ?? DEFAULT_LISTEN)}${flags.ready === true ? "/readyz" : "/healthz"}`;
    const { status, text } = await ask(url, flags.withinMs ?? DEFAULT_WITHIN_MS);
    await shell.stdout.line(text.trim());
    shell.exitCode = status === 200 ? EXIT.ok : EXIT.unavailable;
  });
}

/** A service that listens everywhere is asked on loopback. */
function ownAddress({ host, port }: Listen): string {
  if (host === "0.0.0.0") return `127.0.0.1:${port}`;
  if (host === "::") return `[::1]:${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** @throws PoolError `bus_unavailable` when there is no answer in time */
function ask(url: string, withinMs: number): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new PoolError("bus_unavailable", `no answer from ${url}: ${error.message}`, { cause: error }));
    const options = { signal: AbortSignal.timeout(withinMs), agent: false } as const;
    const request = url.startsWith("https:")
      ? httpsGet(url, { ...options, rejectUnauthorized: false })
      : httpGet(url, options);
    request.on("error", fail).on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("error", fail);
      response.on("data", (chunk: string) => {
        text = (text + chunk).slice(0, MAX_ANSWER);
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
  });
}
