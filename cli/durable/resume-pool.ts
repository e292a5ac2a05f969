/** `poolmesh resume-pool`: stored jobs of one pool begin again. */
import type { Command } from "commander";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { jsonLine } from "../output/json-text.js";
import { addUrlOptions, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { withLaneSource } from "./lane-source.js";

const HELP = `
Examples:
  poolmesh resume-pool invoice`;

interface ResumeFlags extends UrlFlags {
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command.argument("<POOL>", "the jobs' pool").option("--json", "print one JSON object").addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, flags: ResumeFlags) => {
    checkName("pool", pool);
    await withLaneSource(shell, flags, (source) => source.resume(pool), { controls: true });
    await shell.stdout.line(flags.json ? jsonLine({ pool }) : `${pool} goes on`);
    shell.exitCode = EXIT.ok;
  });
}
