/** `poolmesh meter`: the meter service in this process. */
import type { Command } from "commander";
import { METER_OPTIONS } from "../../services/meter/config.js";
import type { Shell } from "../shell.js";
import { addSpecs, toFlags } from "../spec-options.js";

const HELP = `
Serves the live page, MeterService, solpipe.WorkerStatus, the KEDA external scaler,
health, reflection and /metrics on one port (default 127.0.0.1:8090). An address that
is not loopback needs TLS and a policy: docs/security.md.

Examples:
  poolmesh meter
  poolmesh meter --listen 127.0.0.1:0 --pools adder
  poolmesh meter --control
  poolmesh meter --listen 0.0.0.0:8090 --tls-cert-file cert.pem --tls-key-file key.pem \\
    --policy-file policy.json`;

/** Adds the service's own options; its main() reads and checks them. */
export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP);
  addSpecs(command, METER_OPTIONS);
  command.action(async (options: Record<string, unknown>) => {
    const { main } = await import("../../services/meter/main.js");
    shell.exitCode = await main(toFlags(options));
  });
}
