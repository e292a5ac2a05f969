/** `poolmesh doctor`: what is well, what is not, and what to do about it. */
import { type Command, Option } from "commander";
import { findServer } from "../../broker/find.js";
import { PoolError } from "../../mesh/errors.js";
import { redactUrls } from "../../mesh/process/log.js";
import { EXIT } from "../exit-codes.js";
import { type Link, withLink } from "../link.js";
import type { Output } from "../output/output.js";
import { addHolderFlags, type HolderFlags, toHolder } from "../rights/permissions.js";
import { ROLES, type Role } from "../rights/right.js";
import { rightsOf } from "../rights/table.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { brokerFindings } from "./broker-findings.js";
import { type Finding, SYMBOLS } from "./finding.js";
import { clockFindings, serviceFindings, streamFindings } from "./mesh-findings.js";
import { holderFindings, permissionFindings } from "./permission-findings.js";
import { tryAll } from "./trial.js";

const HELP = `
Looks at the broker (reachable, version, limits, JetStream), at what this account may
publish and subscribe (for all pools, or as the one that is named), at streams that
capture our subjects, at clocks, and at who is there. ✔ is well, • is worth knowing, ✖
must be changed. Exits with 1 when there is a ✖.

Examples:
  poolmesh doctor
  NATS_URL=nats://broker:4222 poolmesh doctor --as manager --json
  NATS_CREDS=w1.creds poolmesh doctor --as worker --pool adder --name w1`;

const STYLES = { ok: "green", note: "yellow", bad: "red" } as const;

export function define(command: Command, shell: Shell): void {
  command
    .addOption(new Option("--as <ROLE>", "what this account is for; default any one of them").choices(ROLES))
    .option("--json", "print the findings as a JSON array");
  addHolderFlags(command);
  command.addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  command.action(async (options: DoctorFlags) => {
    const findings = await examine(shell, options);
    if (options.json) await shell.stdout.line(JSON.stringify(findings, null, 2));
    else for (const line of findingLines(shell.stdout, findings)) await shell.stdout.line(line);
    shell.exitCode = findings.some(({ state }) => state === "bad") ? EXIT.failed : EXIT.ok;
  });
}

interface DoctorFlags extends HolderFlags {
  readonly json?: boolean;
  readonly as?: Role;
}

/** @throws PoolError `invalid_argument` for a wrong configuration */
async function examine(shell: Shell, flags: DoctorFlags): Promise<Finding[]> {
  const isNamed =
    [flags.name, flags.worker, flags.pool].some((each) => each !== undefined) ||
    flags.durable === true ||
    flags.largePayloads === true;
  if (isNamed && flags.as === undefined) {
    throw new PoolError("invalid_argument", "as: say what it is: --as ROLE", { field: "as" });
  }
  try {
    const options = { ...flags, pool: undefined, name: undefined, durable: undefined, largePayloads: undefined };
    return await withLink(shell, options, (link) => examineLink(link, flags, isNamed));
  } catch (error) {
    if (!(error instanceof PoolError) || error.reason === "invalid_argument") throw error;
    return [unreachable(error), await installed()];
  }
}

async function examineLink(link: Link, flags: DoctorFlags, isNamed: boolean): Promise<Finding[]> {
  const { bus, subjects } = link;
  const { info } = bus.nc;
  const url = bus.nc.getServer();
  const facts = {
    url: redactUrls([url])[0] ?? url,
    version: info?.version ?? "0.0.0",
    jetStream: info?.jetstream === true,
    maxPayloadBytes: bus.maxPayloadBytes,
    roundTripMs: await roundTripMs(link),
    tls: info?.tls_required === true,
    loopback: /^(\[::1\]|127\.|localhost)/.test(url.replace(/^\w+:\/\//, "")),
  };
  const rights = isNamed && flags.as ? rightsOf(toHolder(flags.as, flags, subjects.prefix)) : undefined;
  return [
    ...brokerFindings(facts),
    ...(rights ? await holderFindings(bus, rights) : await permissionFindings(bus, subjects, flags.as)),
    ...(await meshFindings(link)),
  ];
}

/** Streams, clocks and services, where this account may ask for them. */
async function meshFindings(link: Link): Promise<Finding[]> {
  const { refused } = await tryAll(link.bus, [
    { operation: "publish", subject: "$SRV.PING" },
    { operation: "subscribe", subject: `${link.bus.inboxRoot}.>` },
  ]);
  if (refused.length > 0) {
    const advice = "use an operator's account for streams, clocks, and who is there";
    return [{ state: "note", what: "mesh", found: "this account may not look at it", advice }];
  }
  return [...(await streamFindings(link)), ...(await clockFindings(link)), ...(await serviceFindings(link))];
}

async function roundTripMs({ bus }: Link): Promise<number> {
  const begunAt = performance.now();
  await bus.flush();
  return performance.now() - begunAt;
}

function unreachable(error: PoolError): Finding {
  const advice =
    error.reason === "unauthenticated"
      ? "give the right user and POOLMESH_PASSWORD, POOLMESH_TOKEN or --creds-file"
      : "start one (poolmesh up, or poolmesh nats), or name it with NATS_URL or --servers";
  return { state: "bad", what: "broker", found: error.message, advice };
}

async function installed(): Promise<Finding> {
  const server = await findServer();
  const what = "nats-server";
  if (server !== undefined) return { state: "ok", what, found: `${server.version} is on this machine` };
  return { state: "note", what, found: "not on this machine", advice: "poolmesh up installs it when it can" };
}

/** Lines for a person. */
function findingLines(out: Output, findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ what }) => what.length));
  return findings.flatMap(({ state, what, found, advice }) => {
    const line = `${out.style(STYLES[state], SYMBOLS[state])} ${out.style("bold", what.padEnd(width))}  ${found}`;
    return advice === undefined ? [line] : [line, `  ${" ".repeat(width)}  ${out.style("dim", `→ ${advice}`)}`];
  });
}
