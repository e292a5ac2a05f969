/**
 * A meter in a process of its own, for scripts that measure one: started by
 * {@link forkMeter}, answers with what it uses.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Meter } from "../../services/meter/meter.js";

/** What a process uses. */
export interface Usage {
  /** Since its start. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** After a collection. */
  readonly heapBytes: number;
  readonly externalBytes: number;
}

/** A meter in a process of its own. */
export interface MeterProcess {
  readonly url: string;
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

/** Starts a meter of the broker at `natsUrl`. */
export async function forkMeter(natsUrl: string): Promise<MeterProcess> {
  const child = fork(fileURLToPath(import.meta.url), [natsUrl], { execArgv: ["--import", "tsx"] });
  const url = (await next(child)) as string;
  return {
    url,
    usage: () => {
      const answer = next(child);
      child.send("usage");
      return answer as Promise<Usage>;
    },
    stop: async () => {
      const exited = once(child, "exit");
      child.send("stop");
      await exited;
    },
  };
}

async function next(child: ChildProcess): Promise<unknown> {
  const [message] = await once(child, "message");
  return message;
}

function usage(): Usage {
  setFlagsFromString("--expose-gc");
  const { user, system } = process.cpuUsage();
  (runInNewContext("gc") as () => void)();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { cpuMs: (user + system) / 1_000, rssBytes: rss, heapBytes: heapUsed, externalBytes: external };
}

async function runMeter(natsUrl: string): Promise<void> {
  const meter = new Meter({ bus: { servers: natsUrl }, listen: { host: "127.0.0.1", port: 0 }, maxStreams: 10_000 });
  await meter.start();
  process.on("message", (message) => {
    if (message === "usage") process.send?.(usage());
    else void meter.stop().then(() => process.disconnect());
  });
  process.send?.(meter.url);
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMeter(process.argv[2] ?? "");
}
