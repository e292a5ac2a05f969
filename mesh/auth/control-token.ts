/**
 * The token that gives control of workers while there is no policy.
 *
 * It is what POOLMESH_CONTROL_TOKEN says, or else what a private file of the user
 * says, which the first program makes. So the programs of one user have the same
 * token, and no other user of the machine has it.
 */

import { readOrMakePrivate, statePath } from "../process/files/state-folder.js";
import type { Logger } from "../process/log.js";
import { newToken } from "./policy/tokens.js";

type Env = Readonly<Record<string, string | undefined>>;

/** Where the private file is. */
export function controlTokenFile(env: Env): string {
  return statePath(env, "control-token");
}

/**
 * The control token of a service that has no policy; undefined when there can be none,
 * which the log then says.
 *
 * @param said the option; undefined when it was not given
 */
export function findControlToken(env: Env, said: string | undefined, log: Logger): string | undefined {
  if (said !== undefined) return said;
  const file = controlTokenFile(env);
  try {
    const token = readOrMakePrivate(file, newToken);
    log.debug({ file }, "control of workers needs the token in this file");
    return token;
  } catch (error) {
    const why = (error as Error).message;
    log.warn({ error: why }, "no control of workers over HTTP: set POOLMESH_CONTROL_TOKEN, or a policy file");
    return undefined;
  }
}
