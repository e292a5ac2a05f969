/** The flags of a command that calls a manager or a meter over HTTP. The transport that they become: transport.ts. */
import { type Command, Option } from "commander";
import { controlTokenFile } from "../../mesh/auth/control-token.js";
import { PoolError } from "../../mesh/errors.js";
import { isLoopback } from "../../mesh/http/origin-rule.js";
import { flagName } from "../../mesh/process/config.js";
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

/** On this machine the control token of this user is borne, unless a file is named. It never leaves the machine. */
export function ownToken(shell: Shell, url: string, { tokenFile }: RemoteFlags): string | undefined {
  if (tokenFile !== undefined || !isLoopback(checkUrl(url, "url").hostname)) return undefined;
  return shell.env.POOLMESH_CONTROL_TOKEN || readPrivate(controlTokenFile(shell.env));
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

/** A value of a flag that is not taken. */
export function refuse(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
