/**
 * The parts of a mesh in two releases, today's and the one before, in this process: each with its own copy of every
 * module, so that nothing but the wire is between them.
 */
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { Client } from "../../../client/client.js";
import type { BusOptions } from "../../../mesh/link/bus.js";
import { packageVersion } from "../../../mesh/process/identity.js";
import { ManagerService, type ManagerServiceOptions } from "../../../services/manager/service.js";
import { Meter, type MeterOptions } from "../../../services/meter/meter.js";
import { Worker, type WorkerOptions } from "../../../services/worker/worker.js";
import { cleanUp, type Owner } from "../clean-up.js";
import { CONTROL_TOKEN } from "../doors/control-token.js";

/** How the parts of a release are made. What differs between releases is in here. */
export interface Release {
  readonly name: string;
  /** What its parts say in heartbeats. */
  readonly version: string;
  client(t: Owner, pool: string): Promise<Client>;
  worker(t: Owner, options: WorkerOptions<number, unknown>): Promise<Worker<number, unknown>>;
  manager(t: Owner, options?: Partial<ManagerServiceOptions>): Promise<ManagerService>;
  meter(t: Owner, options?: Partial<MeterOptions>): Promise<Meter>;
}

interface Parts {
  readonly Client: typeof Client;
  readonly Worker: typeof Worker;
  readonly ManagerService: typeof ManagerService;
  readonly Meter: typeof Meter;
}

const ANY_PORT = { host: "127.0.0.1", port: 0 };

/** Today's. */
export function thisRelease(servers: string): Release {
  return releaseOf(["today", packageVersion()], { Client, Worker, ManagerService, Meter }, servers, {
    client: (pool) => [{ pool, servers }],
    worker: { servers },
  });
}

/** The one before. @param folder where it is built */
export async function releaseIn(folder: string, servers: string): Promise<Release> {
  const load = async (path: string): Promise<Parts> =>
    (await import(pathToFileURL(`${folder}/dist/${path}`).href)) as Parts;
  const [index, manager, meter] = await Promise.all(
    ["index.js", "services/manager/service.js", "services/meter/meter.js"].map(load),
  );
  const parts = { ...index, ...manager, ...meter } as Parts;
  const { version } = JSON.parse(await readFile(`${folder}/package.json`, "utf8")) as { version: string };
  return releaseOf(["before", version], parts, servers, {
    client: (pool) => [pool, { bus: undefined, servers }],
    worker: { bus: { servers } },
  });
}

/** The arguments that a release takes. */
interface Shapes {
  client(pool: string): readonly unknown[];
  readonly worker: { readonly bus?: BusOptions; readonly servers?: string };
}

function releaseOf([name, version]: readonly [string, string], parts: Parts, servers: string, shapes: Shapes): Release {
  const bus = { servers };
  return {
    name,
    version,
    async client(t, pool) {
      const client = await (parts.Client.connect as (...args: readonly unknown[]) => Promise<Client>)(
        ...shapes.client(pool),
      );
      cleanUp(t, () => client.close());
      return client;
    },
    worker: (t, options) =>
      started(t, new parts.Worker({ graceMs: 0, ...options, ...shapes.worker } as typeof options)),
    manager: (t, options) =>
      started(
        t,
        new parts.ManagerService({ bus, listen: ANY_PORT, graceMs: 5_000, controlToken: CONTROL_TOKEN, ...options }),
      ),
    meter: (t, options) => started(t, new parts.Meter({ bus, listen: ANY_PORT, ...options })),
  };
}

async function started<T extends { start(): Promise<unknown>; stop(): Promise<unknown> }>(
  t: Owner,
  part: T,
): Promise<T> {
  cleanUp(t, () => part.stop());
  await part.start();
  return part;
}
