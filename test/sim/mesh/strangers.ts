/** Who is no part of the mesh and speaks on its subjects all the same. */
import type { Msg } from "nats";
import type { Limit } from "../../../mesh/durable/limits/limit.js";
import type { Connection } from "../../../mesh/link/connection.js";
import type { Timer } from "../../../mesh/link/runtime.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { SimulatedProcess } from "../../../testing/sim/sim-process.js";
import type { History } from "../history.js";
import { POOL, type Step, type StrangerAct } from "../plan.js";
import type { StageParts } from "./stage-parts.js";

const EVERY_MS = 40;
const garbage = new TextEncoder().encode("\u0001{]garbage");

/** Connects somebody who does this until the step ends. */
export function startStranger(parts: StageParts, step: Extract<Step, { do: "stranger" }>, count: number): void {
  const { world, network } = parts;
  const process = new SimulatedProcess(world, { name: `stranger#${count}`, seed: count });
  let timer: Timer | undefined;
  void network.connect(process).then((connection) => {
    const act = ACTS[step.says](connection, parts.history);
    act();
    timer = process.runtime.every(EVERY_MS, act);
  });
  world.at(step.atMs + step.forMs, () => {
    process.runtime.cancel(timer);
    // who has asked stays to hear the answer
    if (step.says === "malformed-attempts") return;
    process.kill();
    network.killProcess(process);
  });
}

/** How often an operator says a word again that nobody answers, milliseconds. */
const ASK_AGAIN_MS = 300;

/** What an operator can say to a worker. */
export type ControlWord = "drain" | "pause" | "resume";

/** An operator at the `nats` command, who says words to workers until each has been answered. */
export class Operator {
  readonly #parts: StageParts;
  #process: SimulatedProcess | undefined;
  #connection: Promise<Connection> | undefined;
  /** Words wait for the answer to those before them. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(parts: StageParts) {
    this.#parts = parts;
  }

  /** Says a word, after those that were said to this worker before. */
  tell(worker: string, word: ControlWord): void {
    const before = this.#last.get(worker) ?? Promise.resolve();
    this.#last.set(
      worker,
      before.then(() => this.#ask(worker, word)),
    );
  }

  /** Sets the limits of the pool, one after the other. */
  async limit(limits: readonly Limit[]): Promise<void> {
    for (const set of limits) await this.#untilAnswered(`pool.${POOL}.limits`, JSON.stringify({ set }), () => true);
  }

  /** Resolves when the worker has answered, or has gone. */
  #ask(worker: string, word: ControlWord): Promise<void> {
    const isThere = (): boolean => this.#parts.mesh.residents.get(worker)?.process?.alive === true;
    return this.#untilAnswered(`pool.${POOL}.control.${worker}`, word, isThere);
  }

  async #untilAnswered(subject: string, word: string, isThere: () => boolean): Promise<void> {
    const { world, network } = this.#parts;
    // there is nobody unless there is something to say
    const process = this.#process ?? new SimulatedProcess(world, { name: "operator#1", seed: 0 });
    this.#process = process;
    this.#connection ??= network.connect(process);
    const connection = await this.#connection;
    while (isThere()) {
      const answer = connection.request(subject, word, { timeout: ASK_AGAIN_MS });
      const answered = await answer.then(
        (said) => said.headers?.get(HEADER.reply) !== "error",
        () => false,
      );
      if (answered) return;
      await new Promise<void>((resolve) => void process.runtime.after(ASK_AGAIN_MS, resolve));
    }
  }
}

/** Begins an act; what it returns is repeated. */
const ACTS: Record<StrangerAct, (connection: Connection, history: History) => () => void> = {
  "unknown-reply-kind": (connection) => {
    const headers = withHeader(HEADER.reply, "applause");
    const callback = (_error: Error | null, msg: Msg): void => {
      if (msg.reply) connection.publish(msg.reply, garbage, { headers });
    };
    for (const door of ["job", "submit"]) connection.subscribe(`pool.${POOL}.${door}`, { callback });
    return () => {};
  },
  "garbage-heartbeats": (connection) => () => connection.publish(`pool.${POOL}.heartbeat.worker-1`, garbage),
  "garbage-control": (connection) => () => connection.publish(`pool.${POOL}.control`, garbage),
  "malformed-attempts": askNonsense,
};

/** Submissions and cancels whose attempt is no number; each submission has a reply subject of its own. */
function askNonsense(connection: Connection, history: History): () => void {
  const inbox = `_INBOX.stranger${history.facts.length}`;
  let asked = 0;
  connection.subscribe(`${inbox}.*`, {
    callback: (_error, msg) => {
      const reason = msg.headers?.get(HEADER.error) ?? "";
      history.record({ kind: "answered", question: msg.subject.slice(inbox.length + 1), reason });
    },
  });
  return () => {
    asked += 1;
    const question = `${history.facts.length}-${asked}`;
    history.record({ kind: "asked", question });
    connection.publish(`pool.${POOL}.cancel.nobody`, undefined, { headers: withHeader(HEADER.attempt, "x") });
    const headers = withHeader(HEADER.attempt, "x");
    connection.publish(`pool.${POOL}.submit`, garbage, { headers, reply: `${inbox}.${question}` });
  };
}

function withHeader(name: string, value: string) {
  const headers = wireHeaders();
  headers.append(name, value);
  return headers;
}
