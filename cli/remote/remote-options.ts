/** The flags of a command that calls a manager or a meter over HTTP, and the transport that they become. */
import { readFileSync } from "node:fs";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type Command, Option } from "commander";
import { PoolError } from "../../mesh/errors.js";
import { isLoopback } from "../../mesh/http/origin-rule.js";
import { certificatesMistake, isPair, keyMistake } from "../../mesh/process/pem.js";

/** The flags, as commander gives them. */
export interface RemoteFlags {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly tokenFile?: string;
}

const GROUP = "HTTP:";

/** Adds them. */
export function addRemoteOptions(command: Command): void {
  const options = [
    ["--ca-file <FILE>", "CA certificates (PEM) that the server's certificate is checked against"],
    ["--token-file <FILE>", "file with the bearer token to send"],
    ["--cert-file <FILE>", "client certificate (PEM) to show"],
    ["--key-file <FILE>", "key of the client certificate (PEM)"],
  ] as const;
  for (const [flags, text] of options) command.addOption(new Option(flags, text).helpGroup(GROUP));
}

/**
 * A transport for Connect over HTTP/1.1 to a server.
 *
 * @param field the flag that names the URL
 * @param ownToken what to bear when no file is named; undefined: nothing
 * @throws PoolError `invalid_argument` naming the flag
 */
export function remoteTransport(url: string, field: string, flags: RemoteFlags, ownToken?: string): Transport {
  const { origin, protocol, hostname } = checkUrl(url, field);
  const { tokenFile } = flags;
  if (protocol === "http:" && !isLoopback(hostname) && tokenFile !== undefined) {
    throw refuse("token-file", "a token sent over http can be read on the way: use https");
  }
  const token = tokenFile === undefined ? () => ownToken : () => tokenIn(tokenFile);
  token();
  return createConnectTransport({
    baseUrl: origin,
    httpVersion: "1.1",
    nodeOptions: protocol === "https:" ? tlsOf(flags) : {},
    interceptors: [bear(token)],
  });
}

/** @throws PoolError `invalid_argument` */
export function checkUrl(url: string, field: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed !== undefined && /^https?:$/.test(parsed.protocol) && parsed.username === "") return parsed;
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
    throw refuse(field, `cannot read the file (${(error as NodeJS.ErrnoException).code ?? "error"})`);
  }
}

function refuse(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
