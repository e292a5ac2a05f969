/** A service of the mesh as a process of a scenario: started, hurt and ended by its own id. */

import type { Owner } from "../../support/clean-up.js";
import { type Exit, startNode, type TestProcess } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { HISTORY_VARIABLE, type History, machineNow } from "../history.js";

/** Which service. */
export type ServiceKind = "worker" | "manager" | "meter";

/** How it is configured: option name in constant case → text, without the prefix. */
export type ServiceEnv = Readonly<Record<string, string | undefined>>;

/** How an asked-for end is judged. */
export interface EndRule {
  /** Default 0. */
  readonly codes?: readonly number[];
  readonly signal?: NodeJS.Signals;
}

/** A meter has no grace to set; this is what it may need to end its streams. */
const METER_GRACE_MS = 2_000;

const FILE = programFile("./service-process", import.meta.url);

/** A running service. */
export class Service {
  readonly name: string;
  readonly graceMs: number;
  readonly process: TestProcess;
  readonly #history: History;
  url = "";

  constructor(t: Owner, history: History, kind: ServiceKind, name: string, env: ServiceEnv, nodeOptions?: string) {
    this.name = name;
    this.#history = history;
    this.graceMs = Number(env.GRACE_MS ?? (kind === "meter" ? METER_GRACE_MS : 10_000));
    const named = Object.entries(env).map(([key, value]) => [`POOLMESH_${key}`, value] as const);
    this.process = startNode(t, FILE, [kind], {
      env: { ...Object.fromEntries(named), [HISTORY_VARIABLE]: history.path, NODE_OPTIONS: nodeOptions },
    });
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Resolves when it has said that it is ready. */
  async ready(limitMs = 60_000): Promise<this> {
    const [line] = await this.process.line(/"msg":"(worker )?ready"/, limitMs).then((match) => [match.input]);
    this.url = (JSON.parse(line ?? "{}") as { url?: string }).url ?? "";
    return this;
  }

  /** `kill -9`. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#fault("kill -9");
    await this.process.kill();
  }

  /** SIGSTOP: it stands still, its connections stay. */
  pause(): void {
    this.#fault("SIGSTOP");
    this.process.signal("SIGSTOP");
  }

  /** SIGCONT. */
  resume(): void {
    this.#fault("SIGCONT");
    this.process.signal("SIGCONT");
  }

  /** Asks it to end and records how it did. */
  async end({ codes = [0], signal = "SIGTERM" }: EndRule = {}): Promise<Exit> {
    this.#fault(signal);
    this.process.signal(signal);
    return this.ended(machineNow(), codes);
  }

  /** Records how it ends by itself, after something that happened at `sinceMs`. */
  async ended(sinceMs: number, codes: readonly number[], graceMs = this.graceMs): Promise<Exit> {
    const exit = await this.process.exit(graceMs + 20_000);
    const afterMs = machineNow() - sinceMs;
    const listening = this.url !== "" && (await answers(this.url)) ? [this.url] : [];
    this.#history.add({
      kind: "exit",
      process: this.name,
      afterMs,
      graceMs,
      code: exit.code,
      allowed: codes,
      listening,
    });
    return exit;
  }

  #fault(what: string): void {
    this.#history.add({ kind: "fault", what, whom: this.name });
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  }
}
