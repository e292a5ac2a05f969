/** What a command says of secrets that other users of this machine may read. */
import { loosenesses } from "../../mesh/process/files/file-modes.js";
import type { Shell } from "../shell.js";

/** A line on stderr for each of these files that others may read or change. */
export async function warnOfSecrets({ stderr }: Shell, files: readonly (string | undefined)[]): Promise<void> {
  for (const line of loosenesses(files, "secret")) await stderr.line(`${stderr.style("yellow", "warning:")} ${line}`);
}
