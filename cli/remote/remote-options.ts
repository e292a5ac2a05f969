/** The flags of a command that calls a manager or a meter over HTTP, and the transport that they become. */
import { readFileSync } from "node:fs";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type Command, Option } from "commander";
import { controlTokenFile } from "../../mesh/auth/control-token.js";
import { PoolError } from "../../mesh/errors.js";
import { isLoopback } from "../../mesh/http/origin-rule.js";
import { flagName } from "../../mesh/process/config.js";
import { certificatesMistake, isPair, keyMistake } from "../../mesh/process/files/pem.js";
import { readPrivate } from "../../mesh/process/files/state-folder.js";
import { CALLER_OPTIONS, OPTIONS, pick } from "../../mesh/process/options.js";
import { warnOfSecrets } from "../output/loose-files.js";
import type { Shell } from "../shell.js";
import { readOptions } from "../spec-options.js";

/** The flags, as commander gives them. */
export interface RemoteFlags {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** The flags of a command that can do without the broker. */
export interface UrlFlags extends RemoteFlags {
  readonly url?: string | undefined;
}

/** How a caller speaks. A stream in both directions needs HTTP/2. */
export interface CallerOptions {
  /** What to bear when no file is named; undefined: nothing. */
  readonly ownToken?: string | undefined;
  /** Default "1.1", which every proxy passes on. */
  readonly httpVersion?: "1.1" | "2";
}

const GROUP = "HTTP:";

/** Adds the flags of {@link RemoteFlags}. */
export function addRemoteOptions(command: Command): void {
  for (const name of CALLER_OPTIONS) {
    const { value, help } = OPTIONS[name];
    command.addOption(new Option(`${flagName(name)} <${value}>`, help).helpGroup(GROUP));
  }
}

/** Adds the flags of {@link UrlFlags}. @param what the URL is of, and what it does here */
export function addUrlOptions(command: Command, what: string): void {
  command.addOption(new Option("--url <URL>", what).helpGroup(GROUP));
  addRemoteOptions(command);
}

/**
 * The flags with what the environment says: POOLMESH_URL, POOLMESH_TOKEN_FILE and so on.
 *
 * @throws PoolError `invalid_argument`
 */
export function readRemote(shell: Shell, flags: UrlFlags): UrlFlags {
  const said = readOptions(shell, { ...flags }, pick(["url", ...CALLER_OPTIONS]));
  void warnOfSecrets(shell, [said.tokenFile, said.keyFile]);
  return said;
}

/** A transport to the manager that `--url` names. @throws PoolError `invalid_argument` naming a flag */
export function managerTransport(shell: Shell, url: string, flags: RemoteFlags): Transport {
  return remoteTransport(url, "url", flags, { ownToken: ownToken(shell, url, flags) });
}

/** On this machine the control token of this user is borne, unless a file is named. It never leaves the machine. */
export function ownToken(shell: Shell, url: string, { tokenFile }: RemoteFlags): string | undefined {
  if (tokenFile !== undefined || !isLoopback(checkUrl(url, "url").hostname)) return undefined;
  return shell.env.POOLMESH_CONTROL_TOKEN || readPrivate(controlTokenFile(shell.env));
}

/**
 * A transport for Connect to a server.
 *
 * @param field the flag that names the URL
 * @throws PoolError `invalid_argument` naming the flag
 */
export function remoteTransport(
  url: string,
  field: string,
  flags: RemoteFlags,
  { ownToken: own, httpVersion = "1.1" }: CallerOptions = {},
): Transport {
  const { origin, protocol, hostname } = checkUrl(url, field);
  const { tokenFile } = flags;
  if (protocol === "http:" && !isLoopback(hostname) && tokenFile !== undefined) {
    throw refuse("token-file", "a token sent over http can be read on the way: use https");
  }
  const token = tokenFile === undefined ? () => own : () => tokenIn(tokenFile);
  token();
  return createConnectTransport({
    baseUrl: origin,
    httpVersion,
    nodeOptions: protocol === "https:" ? tlsOf(flags) : {},
    interceptors: [bear(token)],
  });
}

/** @throws PoolError `invalid_argument` */
export function checkUrl(url: string, field: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed !== undefined && /^https?:$/.test(parsed.protocol)) {
    if (parsed.username !== "" || parsed.password !== "") {
      throw refuse(field, "a user and password are not used here: name a file with a token by --token-file");
    }
    if (parsed.pathname !== "/" || parsed.search !== "" || parsed.hash !== "") {
      throw refuse(field, "a path or query is not used: say only http://HOST:PORT or https://HOST:PORT");
    }
    return parsed;
  }
  throw refuse(field, "use a URL such as http://127.0.0.1:8090 or https://HOST:PORT");
}

/** The file is read for every call, so that a token that is renewed counts. */
function bear(token: () => string | undefined): Interceptor {
  return (next) => (req) => {
    const said = token();
    if (said !== undefined) req.header.set("authorization", `Bearer ${said}`);
    return next(req);
  };
}

function tlsOf({ caFile, certFile, keyFile }: RemoteFlags): { ca?: string; cert?: string; key?: string } {
  const ca = pem("ca-file", caFile, certificatesMistake);
  const cert = pem("cert-file", certFile, certificatesMistake);
  const key = pem("key-file", keyFile, keyMistake);
  if ((cert === undefined) !== (key === undefined))
    throw refuse("cert-file", "say --cert-file and --key-file together");
  if (cert !== undefined && key !== undefined && !isPair(cert, key)) {
    throw refuse("key-file", "the file is not the unencrypted key of the certificate in --cert-file");
  }
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function pem(field: string, file: string | undefined, mistakeIn: (text: string) => string | undefined) {
  if (file === undefined) return undefined;
  const text = read(field, file);
  const mistake = mistakeIn(text);
  if (mistake !== undefined) throw refuse(field, mistake);
  return text;
}

function tokenIn(file: string): string {
  const token = read("token-file", file).trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw refuse("token-file", "the file must hold one token and nothing else");
}

function read(field: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw refuse(field, `cannot read ${JSON.stringify(file)} (${(error as NodeJS.ErrnoException).code ?? "error"})`);
  }
}

function refuse(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
