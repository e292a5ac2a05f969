/**
 * Parts of a mesh in processes of their own, for scripts that measure many of them. Compiled code from dist/ runs in them.
 *
 * {@link startPart} starts one; the rest of this file is what runs in it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

/** What a process is, and where its broker is. */
export type PartSpec = { readonly servers: string } & (
  | { readonly kind: "manager" | "meter"; readonly pools?: readonly string[] }
  /** One worker with a connection of its own for each name, all of one process; they start within a second, at random. */
  | {
      readonly kind: "workers";
      readonly pool: readonly string[];
      readonly ids: readonly string[];
      readonly slots: number;
    }
);

/** When a job ran, by the wall clock of the machine. */
export type TimedRun = readonly [fromMs: number, toMs: number];

/** One that runs. */
export interface Part {
  readonly pid: number;
  stop(): Promise<void>;
}

const STOP_LIMIT_MS = 20_000;
const DIST = new URL("../../../dist/", import.meta.url).pathname;

/** Resolves when it is ready. @throws when its process ends before */
export async function startPart(spec: PartSpec): Promise<Part> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), [JSON.stringify(spec)], {
    execArgv: ["--import", "tsx", ...(process.env.PART_ARGS?.split(" ") ?? [])],
  });
  await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => Promise.reject(new Error(`a process of kind ${spec.kind} ended`))),
  ]);
  return {
    pid: child.pid as number,
    stop: async () => {
      const exited = once(child, "exit");
      child.disconnect();
      await exited;
    },
  };
}

function load<T>(file: string): Promise<T> {
  return import(pathToFileURL(`${DIST}${file}`).href) as Promise<T>;
}

/** The job of these workers: waits for as many milliseconds as its payload says. */
async function timedRun({ payload }: { readonly payload: number }): Promise<TimedRun> {
  const fromMs = Date.now();
  await delay(payload);
  return [fromMs, Date.now()];
}

interface Living {
  start(): Promise<void>;
  stop(): Promise<void>;
}

async function make(spec: PartSpec): Promise<Living[]> {
  const bus = { servers: spec.servers };
  const listen = { host: "127.0.0.1", port: 0 };
  switch (spec.kind) {
    case "manager": {
      const { ManagerService } =
        await load<typeof import("../../../services/manager/service.js")>("services/manager/service.js");
      return [new ManagerService({ bus, listen, ...(spec.pools === undefined ? {} : { pools: spec.pools }) })];
    }
    case "meter": {
      const { Meter } = await load<typeof import("../../../services/meter/meter.js")>("services/meter/meter.js");
      return [new Meter({ bus, listen, ...(spec.pools === undefined ? {} : { pools: spec.pools }) })];
    }
    case "workers": {
      const { Worker } = await load<typeof import("../../../index.js")>("index.js");
      return spec.ids.map((id, i) => {
        const pool = spec.pool[i % spec.pool.length] as string;
        return new Worker<number, TimedRun>({ pool, id, slots: spec.slots, ...bus, run: timedRun });
      });
    }
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  let living: Living[] = [];
  // Also while it starts: who waits for a broker that is gone would stay for ever.
  process.on("disconnect", () => {
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
    void Promise.all(living.map((each) => each.stop())).then(() => process.exit(0));
  });
  const spec = JSON.parse(process.argv[2] as string) as PartSpec;
  living = await make(spec);
  const spreadMs = living.length > 1 ? 1_000 : 0;
  await Promise.all(living.map((each) => delay(Math.random() * spreadMs).then(() => each.start())));
  process.send("ready");
}
