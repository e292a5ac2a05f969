/** Which servers may be reached from other machines. */
import type { AccessOptions } from "../auth/gate.js";
import { PoolError } from "../errors.js";
import type { Logger } from "../process/log.js";
import type { Listen } from "../process/options.js";
import { isLoopback } from "./origin-rule.js";

/** What is judged. */
export interface PublicOptions {
  readonly listen: Listen;
  readonly tls?: object;
  readonly access?: AccessOptions;
  readonly insecure?: boolean;
}

/**
 * Beyond loopback a server needs TLS and a policy, or says that it does without.
 *
 * @throws PoolError `invalid_argument`, field "listen", that says what is missing
 */
export function requireSafe({ listen, tls, access, insecure }: PublicOptions, log: Logger): void {
  if (isLoopback(listen.host)) return;
  const hasPolicy = access?.policyFile !== undefined;
  if (tls !== undefined && hasPolicy) return;
  if (insecure !== true) throw refused(listen.host, tls !== undefined, hasPolicy);
  const meaning = `insecure: ${risks(tls !== undefined, hasPolicy).join("; ")}`;
  // Who hides warnings hears this one all the same.
  if (log.isLevelEnabled("warn")) log.warn({ listen: listen.host }, meaning);
  else process.stderr.write(`poolmesh: listen ${listen.host}: ${meaning}\n`);
}

function refused(host: string, hasTls: boolean, hasPolicy: boolean): PoolError {
  const missing = [
    ...(hasTls ? [] : ["--tls-cert-file and --tls-key-file"]),
    ...(hasPolicy ? [] : ["--policy-file, which says who may do what"]),
  ].join(", and ");
  const text = `listen ${host}: other machines can reach this address, so it needs ${missing} (docs/security.md); --insecure does without`;
  return new PoolError("invalid_argument", text, { field: "listen" });
}

/** What --insecure means here. */
function risks(hasTls: boolean, hasPolicy: boolean): string[] {
  return [
    ...(hasTls ? [] : ["whoever is on the way reads and changes jobs, results and tokens"]),
    ...(hasPolicy ? [] : ["whoever reaches this port sees every pool, submits and cancels jobs, and reads results"]),
  ];
}
