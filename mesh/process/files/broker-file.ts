/**
 * The credential of a broker that `poolmesh up` has started, in a private file.
 *
 * So every Poolmesh program of the same user reaches that broker without being told, and
 * no program of another user does. There is a file for each port, while the broker runs.
 */
import { isLoopback } from "../../http/origin-rule.js";
import type { BrokerAddress, BrokerCredential } from "../broker-urls.js";
import { readPrivate, removePrivate, statePath, writePrivate } from "./state-folder.js";

type Env = Readonly<Record<string, string | undefined>>;

/** The user of such a broker. */
export const BROKER_USER = "poolmesh";

/** Keeps the password of the broker on a port of loopback. Returns what takes it away. */
export function keepBrokerPassword(env: Env, port: number, password: string): () => void {
  const path = pathOf(env, port);
  writePrivate(path, password);
  return () => {
    if (find(path) === password) removePrivate(path);
  };
}

/** The credential for a broker; undefined when it is not one of this user's on loopback. */
export function knownCredential(env: Env, { address, tls }: BrokerAddress): BrokerCredential | undefined {
  const { hostname, port } = new URL(`nats://${address}`);
  const password = tls || !isLoopback(hostname) ? undefined : find(pathOf(env, Number(port)));
  return password === undefined ? undefined : { user: BROKER_USER, password };
}

function find(path: string): string | undefined {
  try {
    return readPrivate(path);
  } catch {
    // A file that others could have written or read is no secret of ours.
    return undefined;
  }
}

function pathOf(env: Env, port: number): string {
  return statePath(env, `broker-${port}`);
}
