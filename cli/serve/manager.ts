/** `poolmesh manager`: the manager service in this process. */
import type { Command } from "commander";
import { MANAGER_OPTIONS } from "../../services/manager/config.js";
import type { Shell } from "../shell.js";
import { addSpecs, toFlags } from "../spec-options.js";

const HELP = `
Serves poolmesh.v1.ManagerService over Connect, gRPC and gRPC-Web on one port
(default 127.0.0.1:8080), with health, reflection, /metrics, /healthz and /readyz,
and takes jobs from the NATS subject pool.P.submit. Run any number of them. With
--durable it also creates the streams of its pools, and runs what is enqueued there.
An address that is not loopback needs TLS and a policy: docs/security.md.

Examples:
  poolmesh manager
  poolmesh manager --durable
  poolmesh manager --pools adder,digest --listen 127.0.0.1:0
  NATS_URL=nats://broker:4222 poolmesh manager --parked-limit 100000
  poolmesh manager --listen 0.0.0.0:8080 --tls-cert-file cert.pem --tls-key-file key.pem \\
    --policy-file policy.json`;

/** Adds the service's own options; its main() reads and checks them. */
export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP);
  addSpecs(command, MANAGER_OPTIONS);
  command.action(async (options: Record<string, unknown>) => {
    const { main } = await import("../../services/manager/main.js");
    shell.exitCode = await main(toFlags(options));
  });
}
