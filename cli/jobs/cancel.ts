/** `poolmesh cancel`: ends one job wherever it is. */
import type { Command } from "commander";
import { askCancel } from "../../mesh/link/ask-cancel.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { withLink } from "../link.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { doubtOf, poolOrJob, remoteDoubtOf } from "./wait-note.js";

const HELP = `
The job's caller hears "canceled", and its handler's AbortSignal fires. Exits with 1
when nobody has a live job with this id.

Examples:
  poolmesh submit slow 60000 --id job-1 &
  poolmesh cancel slow job-1
  poolmesh cancel slow job-1 --url https://manager:8080 --ca-file ca.pem --token-file ci.token`;

export function define(command: Command, shell: Shell): void {
  command.argument("<POOL>", "the job's pool").argument("<JOB>", "the job's id").addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "call this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, job: string, flags: UrlFlags) => {
    checkName("pool", pool);
    checkName("job", job);
    const remote = readRemote(shell, flags);
    const { url } = remote;
    if (url !== undefined) {
      const { cancelRemote } = await import("../remote/remote-calls.js");
      return cancelRemote(url, remote, pool, job).catch(async (error) => {
        throw await poolOrJob(error, remoteDoubtOf(url, remote, pool));
      });
    }
    await withLink(shell, { ...flags }, (link) => {
      const { bus, inbox, subjects } = link;
      return askCancel(bus, { inbox, subjects }, pool, job).catch(async (error) => {
        throw await poolOrJob(error, doubtOf(link, pool));
      });
    });
  });
}
