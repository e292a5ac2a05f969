/** `poolmesh token`: static tokens for callers of manager and meter, and the control token of this user. */
import { rmSync } from "node:fs";
import type { Command } from "commander";
import { controlTokenFile, findControlToken } from "../../mesh/auth/control-token.js";
import { isPoolPattern, ROLES, type Role } from "../../mesh/auth/policy/roles.js";
import { hashToken, isTokenName, newToken, type TokenRecord } from "../../mesh/auth/policy/tokens.js";
import { PoolError } from "../../mesh/errors.js";
import { parseBrokerUrl } from "../../mesh/process/broker-urls.js";
import { knownCredential } from "../../mesh/process/files/broker-file.js";
import { silentLog } from "../../mesh/process/log.js";
import { tableLines } from "../output/table.js";
import type { Shell } from "../shell.js";
import { BUS_SPECS, readOptions } from "../spec-options.js";
import { changeTokens, knownTokens, writeSecret } from "./tokens-file.js";

const HELP = `
new      makes a token, prints it once, and adds its hash to the tokens file
         that the policy file names; manager and meter read the file again by
         themselves. --out writes the token to a new file that only you can
         read, instead of printing it
list     shows the tokens of the file: names, roles, pools, ends
revoke   takes the token NAME out of the file; open streams of its bearer end
control  prints the token that control of workers needs when there is no
         policy: manager, meter and \`up\` of this user take it, and only
         this user can read its file
broker   prints the URL, with its credential, of the broker that \`up\` of
         this user runs: for \`nats\` and other programs. NATS_URL names one
         that is not on port 4222

Roles, each with what the one before it may: viewer sees, submitter submits and has its own
jobs, operator controls workers and cancels any job, admin reads any outcome.

Examples:
  poolmesh token new ci --role submitter --pool adder --pool "build-*" --out ci.token
  poolmesh token new grafana --role viewer --pool "*" --days 365
  poolmesh token list
  poolmesh token revoke ci
  poolmesh token control
  export NATS_URL="$(poolmesh token broker)"`;

const ACTIONS = ["new", "list", "revoke", "control", "broker"] as const;
const DAY_MS = 86_400_000;

interface TokenFlags {
  readonly role?: string;
  readonly pool?: readonly string[];
  readonly days?: string;
  readonly file?: string;
  readonly out?: string;
}

type FileFlags = TokenFlags & { readonly file: string };
const DEFAULT_FILE = "tokens.json";

export function define(command: Command, shell: Shell): void {
  command
    .argument("<ACTION>", "new, list, revoke, control or broker")
    .argument("[NAME]", "what the token is called: who bears it, in logs")
    .option("--role <ROLE>", `one of ${ROLES.join(", ")}`)
    .option("--pool <PATTERN>", 'a pool, "*" for any characters; may be repeated', collect)
    .option("--days <N>", "how long it is good for; default for ever")
    .option("--file <FILE>", "the tokens file (default tokens.json)")
    .option("--out <FILE>", "write what would be printed to this new file, with mode 600")
    .addHelpText("after", HELP);
  command.action(async (action: string, name: string | undefined, said: TokenFlags) => {
    const flags = { file: DEFAULT_FILE, ...said };
    switch (ACTIONS.find((each) => each === action)) {
      case "new":
        return makeToken(shell, name, flags);
      case "list":
        return listTokens(shell, flags);
      case "revoke":
        return revokeToken(shell, name, flags);
      case "control":
        return printControlToken(shell, flags);
      case "broker":
        return printBrokerUrl(shell, flags);
      default:
        throw refuse("action", `use one of ${ACTIONS.join(", ")}`);
    }
  });
}

async function makeToken(shell: Shell, name: string | undefined, flags: FileFlags): Promise<void> {
  const token = newToken();
  const record = toRecord(name, flags, hashToken(token));
  const addIt = (records: readonly TokenRecord[]): readonly TokenRecord[] => {
    if (records.some((each) => each.name === record.name)) {
      throw refuse("name", `${flags.file} has a token of this name: revoke it first, or take another name`);
    }
    return [...records, record];
  };
  // A file that cannot be made leaves no token behind, and a token that cannot be added no file.
  if (flags.out !== undefined) writeSecret(flags.out, token);
  try {
    changeTokens(flags.file, addIt);
  } catch (error) {
    if (flags.out !== undefined) rmSync(flags.out, { force: true });
    throw error;
  }
  if (flags.out === undefined) await shell.stdout.line(token);
  const where = flags.out === undefined ? "kept nowhere: this is the only time it is shown" : `in ${flags.out} only`;
  await shell.stderr.line(shell.stderr.style("dim", `its hash is in ${flags.file}; the token itself is ${where}`));
}

/** Hands a secret over: on stdout, or in a file. */
async function hand(shell: Shell, secret: string, { out }: FileFlags): Promise<void> {
  if (out === undefined) return shell.stdout.line(secret);
  writeSecret(out, secret);
}

async function listTokens(shell: Shell, { file }: FileFlags): Promise<void> {
  const columns = [{ title: "NAME" }, { title: "ROLE" }, { title: "POOLS" }, { title: "ENDS" }];
  const rows = knownTokens(file).map(({ name, role, pools, expires }) =>
    [name, role, pools.join(","), expires ?? "never"].map((text) => ({ text })),
  );
  for (const line of tableLines(columns, rows, shell.stdout.room)) await shell.stdout.line(line);
}

async function revokeToken(shell: Shell, name: string | undefined, { file }: FileFlags): Promise<void> {
  knownTokens(file);
  changeTokens(file, (records) => {
    const rest = records.filter((each) => each.name !== name);
    if (rest.length === records.length) throw new PoolError("not_found", `${file} has no token of this name`);
    return rest;
  });
  await shell.stderr.line(shell.stderr.style("dim", "revoked; manager and meter notice within a second"));
}

async function printControlToken(shell: Shell, flags: FileFlags): Promise<void> {
  const token = findControlToken(shell.env, shell.env.POOLMESH_CONTROL_TOKEN || undefined, silentLog);
  if (token === undefined) {
    throw new PoolError("permission_denied", `${controlTokenFile(shell.env)} cannot be made or is not private`);
  }
  await hand(shell, token, flags);
}

async function printBrokerUrl(shell: Shell, flags: FileFlags): Promise<void> {
  const { servers } = readOptions(shell, {}, BUS_SPECS);
  const address = parseBrokerUrl(servers[0] ?? "");
  const credential = knownCredential(shell.env, address);
  if (credential === undefined || !("password" in credential)) {
    const text = `no \`up\` of this user runs a broker at ${address.address}; NATS_URL names another port`;
    throw new PoolError("not_found", text);
  }
  await hand(shell, `nats://${credential.user}:${credential.password}@${address.address}`, flags);
}

function toRecord(name: string | undefined, { role, pool = [], days }: TokenFlags, sha256: string): TokenRecord {
  if (!isTokenName(name)) throw refuse("name", 'say NAME: 1 to 63 letters, digits, ".", "_" or "-"');
  const known = ROLES.find((each): each is Role => each === role);
  if (known === undefined) throw refuse("role", `say --role, one of ${ROLES.join(", ")}`);
  if (pool.length === 0) throw refuse("pool", 'say --pool NAME, or --pool "*" for all');
  if (!pool.every(isPoolPattern)) throw refuse("pool", 'use pool names, with "*" for any characters');
  return { name, sha256, role: known, pools: pool, ...(days === undefined ? {} : { expires: endAfter(days) }) };
}

function endAfter(days: string): string {
  const count = /^\d{1,5}$/.test(days) ? Number(days) : 0;
  if (count < 1) throw refuse("days", "use a whole number from 1 to 99999");
  return new Date(Date.now() + count * DAY_MS).toISOString();
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function refuse(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
