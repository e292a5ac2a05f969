/** `poolmesh permissions`: the least that one role needs on the broker. */
import { type Command, Option } from "commander";
import { PoolError } from "../../mesh/errors.js";
import { OPTIONS } from "../../mesh/process/options.js";
import type { Shell } from "../shell.js";
import { addSpecs, readOptions } from "../spec-options.js";
import { confUser, FORMATS, flagsOf, jwtPermissions, nscCommand, type RightsFormat, titleOf } from "./formats.js";
import { type Holder, type Rights, ROLES, type Role } from "./right.js";
import { rightsOf } from "./table.js";

const HELP = `
Prints no secret: conf names the variable that the server takes the password from. A part
that has such rights must be started with the --id and the --inbox-prefix that are printed.
What the sets prevent, and what not, is in docs/permissions.md.

Formats:
  conf  one entry of users in nats-server's configuration
  jwt   the permissions of a user JWT, as JSON
  nsc   the command that adds the user to an account

Examples:
  poolmesh permissions --role worker --pool adder --name w1
  poolmesh permissions --role manager --name m1 --format nsc
  poolmesh permissions --role manager --name m1 --pool orders --durable
  poolmesh permissions --role client --pool adder --name shop --format jwt`;

/** Flags that say whose rights are meant, as commander gives them. */
export interface HolderFlags {
  readonly pool?: readonly string[];
  readonly name?: string;
  readonly worker?: string;
  readonly durable?: boolean;
  readonly largePayloads?: boolean;
}

interface PermissionsFlags extends HolderFlags {
  readonly prefix?: string;
  readonly role: Role;
  readonly format: RightsFormat;
  readonly nkey?: string;
}

/** Adds the flags of {@link HolderFlags}. */
export function addHolderFlags(command: Command): void {
  command
    .option("--pool <NAME>", "the pool, or one of them; default all", (value: string, earlier: string[] = []) => [
      ...earlier,
      value,
    ])
    .option("--name <NAME>", "the id of a worker, manager or meter; any name for a client or an operator")
    .option("--worker <NAME>", "the same, of a worker")
    .option("--durable", "with what the durable lane needs")
    .option("--large-payloads", "with what payloads over the broker's limit need");
}

/** @throws PoolError `invalid_argument`, field "name" or "pool" */
export function toHolder(role: Role, flags: HolderFlags, prefix: string | undefined): Holder {
  const { pool, name, worker, durable, largePayloads: large } = flags;
  if (name !== undefined && worker !== undefined && name !== worker) throw refused("contradicts --worker");
  if (worker !== undefined && role !== "worker") throw refused(`a ${role} is no worker: say --name`, "worker");
  const own = name ?? worker;
  if (own === undefined) throw refused("say whose rights: --name NAME");
  return { role, name: own, pools: pool, prefix, durable, large };
}

export function define(command: Command, shell: Shell): void {
  command.addOption(new Option("--role <ROLE>", "what the account is for").choices(ROLES).makeOptionMandatory());
  addHolderFlags(command);
  command
    .addOption(new Option("--format <FORMAT>", "how to print them").choices(FORMATS).default("conf"))
    .option("--nkey <PUBLIC>", "with conf: the user's public nkey, in place of a name and a password")
    .addHelpText("after", HELP);
  addSpecs(command, { prefix: OPTIONS.prefix });
  command.action(async (flags: PermissionsFlags) => {
    const { prefix } = readOptions(shell, { prefix: flags.prefix }, { prefix: OPTIONS.prefix });
    if (flags.nkey !== undefined && !/^U[A-Z2-7]{55}$/.test(flags.nkey)) {
      throw refused("use the public key of a user: U and 55 more", "nkey");
    }
    const rights = rightsOf(toHolder(flags.role, flags, prefix));
    for (const line of linesOf(rights, flags)) await shell.stdout.line(line);
  });
}

function linesOf(rights: Rights, { format, nkey }: PermissionsFlags): string[] {
  const flags = flagsOf(rights);
  const comments = [`# ${titleOf(rights)}`, ...(flags.length === 0 ? [] : [`# runs with ${flags.join(" ")}`])];
  switch (format) {
    case "conf":
      return [...comments, ...confUser(rights, nkey)];
    case "nsc":
      return [...comments, ...nscCommand(rights)];
    case "jwt":
      return [JSON.stringify(jwtPermissions(rights), null, 2)];
  }
}

function refused(why: string, field = "name"): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
