/** One child process that runs one job at a time. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { PoolError } from "../../../mesh/errors.js";
import { childFile } from "./child-file.js";
import { fromWireEnding, fromWireError, type HandlerSource, toWireCall, toWireError } from "./isolated-calls.js";
import type { FromChild, ToChild } from "./process-child.js";
import type { Call, Ending } from "./runner.js";

/** How long a child may take to leave when its channel closes, in milliseconds. */
const LEAVE_MS = 300;

interface ChildCall {
  readonly number: number;
  readonly call: Call;
  readonly onIdle: () => void;
  readonly onAbort: () => void;
}

export class HandlerProcess {
  /** Resolves when the handler is loaded. Rejects with what is wrong. */
  readonly loaded: Promise<void>;
  readonly #child: ChildProcess;
  readonly #abortGraceMs: number;
  readonly #exited: Promise<void>;
  #settleLoaded!: (error: PoolError | undefined) => void;
  #current: ChildCall | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  #calls = 0;
  #gone = false;

  /** @param onGone called once, when the child has exited for whatever reason */
  constructor(source: HandlerSource, abortGraceMs: number, onGone: (child: HandlerProcess) => void) {
    this.#abortGraceMs = abortGraceMs;
    this.loaded = new Promise((resolve, reject) => {
      this.#settleLoaded = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.loaded.catch(() => undefined);
    this.#child = fork(fileURLToPath(childFile("process-child")), [], {
      serialization: "advanced",
      env: { ...process.env, HANDLER_CHILD: "1" },
    });
    this.#child.on("message", (message) => this.#onMessage(message as FromChild));
    this.#exited = new Promise((resolve) => {
      const onEnd = (code: number | null, signal: string | null): void => {
        if (this.#gone) return;
        this.#gone = true;
        this.#onExit(signal === null ? `exited with code ${code ?? 1}` : `was ended by ${signal}`);
        onGone(this);
        resolve();
      };
      this.#child.once("exit", onEnd);
      this.#child.once("error", () => onEnd(1, null));
    });
    this.#send({ say: "load", source });
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** Runs one job; the child must be idle, and is so again when `onIdle` is called. */
  run(call: Call, onIdle: () => void): void {
    this.#calls += 1;
    const number = this.#calls;
    const onAbort = (): void => this.#abort(number, call.signal.reason as PoolError);
    this.#current = { number, call, onIdle, onAbort };
    call.signal.addEventListener("abort", onAbort, { once: true });
    this.#send({ say: "run", wire: toWireCall(call, number) });
  }

  /** Ends the child: by closing its channel, then by SIGKILL. */
  async stop(): Promise<void> {
    if (this.#gone) return;
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), this.#current === undefined ? LEAVE_MS : 0);
    await this.#exited;
    clearTimeout(timer);
  }

  #onMessage(message: FromChild): void {
    if (message.say === "loaded") {
      this.#settleLoaded(message.error === undefined ? undefined : fromWireError(message.error));
    } else if (message.say === "progress") this.#current?.call.progress(message.payload);
    else if (message.call === this.#current?.number) this.#finish(fromWireEnding(message.answer.ending));
  }

  #abort(call: number, error: PoolError): void {
    this.#send({ say: "abort", call, error: toWireError(error) });
    this.#killTimer = setTimeout(() => this.#child.kill("SIGKILL"), this.#abortGraceMs);
  }

  #onExit(how: string): void {
    const error = new PoolError("job_failed", `the handler's process ${how}`, { maybeExecuted: true });
    this.#settleLoaded(error);
    this.#finish({ ok: false, error });
  }

  #finish(ending: Ending): void {
    const current = this.#current;
    if (current === undefined) return;
    clearTimeout(this.#killTimer);
    current.call.signal.removeEventListener("abort", current.onAbort);
    this.#current = undefined;
    current.onIdle();
    current.call.end(ending);
  }

  #send(message: ToChild): void {
    // a child that is gone is noticed by its exit
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }
}
