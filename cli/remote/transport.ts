/** The transport to a manager or a meter that flags become. Apart from the flags: every command has them, few commands call. */
import { readFileSync } from "node:fs";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { isLoopback } from "../../mesh/http/origin-rule.js";
import { certificatesMistake, isPair, keyMistake } from "../../mesh/process/files/pem.js";
import type { Shell } from "../shell.js";
import { checkUrl, ownToken, type RemoteFlags, refuse } from "./remote-options.js";

/** How a caller speaks. A stream in both directions needs HTTP/2. */
export interface CallerOptions {
  /** What to bear when no file is named; undefined: nothing. */
  readonly ownToken?: string | undefined;
  /** Default "1.1", which every proxy passes on. */
  readonly httpVersion?: "1.1" | "2";
}

/** A transport to the manager that `--url` names. @throws PoolError `invalid_argument` naming a flag */
export function managerTransport(shell: Shell, url: string, flags: RemoteFlags): Transport {
  return remoteTransport(url, "url", flags, { ownToken: ownToken(shell, url, flags) });
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
