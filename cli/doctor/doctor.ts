/** `poolmesh doctor`: what is well, what is not, and what to do about it. */
import { type Command, Option } from "commander";
import { findServer } from "../../broker/find.js";
import { PoolError } from "../../mesh/errors.js";
import { redactUrls } from "../../mesh/process/log.js";
import { EXIT } from "../exit-codes.js";
import { type Link, withLink } from "../link.js";
import type { Output } from "../output/output.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { brokerFindings } from "./broker-findings.js";
import { type Finding, SYMBOLS } from "./finding.js";
import { clockFindings, serviceFindings, streamFindings } from "./mesh-findings.js";
import { permissionFindings, ROLES, type Role } from "./permission-findings.js";

const HELP = `
Looks at the broker (reachable, version, limits, JetStream), at what this account may
publish and subscribe (for all pools), at streams that capture our subjects, at clocks,
and at who is there. ✔ is well, • is worth knowing, ✖ must be changed. Exits with 1 when
there is a ✖.

Examples:
  poolmesh doctor
  NATS_URL=nats://broker:4222 poolmesh doctor --as worker --json`;

const STYLES = { ok: "green", note: "yellow", bad: "red" } as const;

export function define(command: Command, shell: Shell): void {
  command
    .addOption(new Option("--as <ROLE>", "what this account is for; default any one of them").choices(ROLES))
    .option("--json", "print the findings as a JSON array")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  command.action(async (options: { json?: boolean; as?: Role }) => {
    const findings = await examine(shell, { ...options }, options.as);
    if (options.json) await shell.stdout.line(JSON.stringify(findings, null, 2));
    else for (const line of findingLines(shell.stdout, findings)) await shell.stdout.line(line);
    shell.exitCode = findings.some(({ state }) => state === "bad") ? EXIT.failed : EXIT.ok;
  });
}

/** @throws PoolError `invalid_argument` for a wrong configuration */
async function examine(shell: Shell, options: Readonly<Record<string, unknown>>, role?: Role): Promise<Finding[]> {
  try {
    return await withLink(shell, options, (link) => examineLink(link, role));
  } catch (error) {
    if (!(error instanceof PoolError) || error.reason === "invalid_argument") throw error;
    return [unreachable(error), await installed()];
  }
}

async function examineLink(link: Link, role: Role | undefined): Promise<Finding[]> {
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
  return [
    ...brokerFindings(facts),
    ...(await permissionFindings(bus, subjects, role)),
    ...(await streamFindings(link)),
    ...(await clockFindings(link)),
    ...(await serviceFindings(link)),
  ];
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
