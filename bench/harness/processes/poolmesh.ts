/**
 * Poolmesh as it is shipped: compiled, from dist/ of the repository.
 *
 * The only place that knows where that is. Everything else of the benchmark
 * takes it from here, so that no arm can measure a source file by mistake.
 */

import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** The repository's root; the benchmark itself runs from bench/dist/. */
export const ROOT = join(import.meta.dirname, "..", "..", "..", "..");

/** Loads one compiled file; `file` is its path in dist/. */
export async function load<T>(file: string): Promise<T> {
  return (await import(pathToFileURL(join(ROOT, "dist", file)).href)) as T;
}

export const { Client, DurableLane, Manager, Worker } = await load<typeof import("../../../dist/index.js")>("index.js");
export const { Broker } = await load<typeof import("../../../dist/broker/broker.js")>("broker/broker.js");
export const { Cluster } = await load<typeof import("../../../dist/broker/cluster.js")>("broker/cluster.js");
export const { findServer } = await load<typeof import("../../../dist/broker/find.js")>("broker/find.js");

export type Client = import("../../../dist/index.js").Client;
export type Manager = import("../../../dist/index.js").Manager;
export type Worker = import("../../../dist/index.js").Worker;
export type Broker = import("../../../dist/broker/broker.js").Broker;
export type Cluster = import("../../../dist/broker/cluster.js").Cluster;
