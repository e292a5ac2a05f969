/** Runs the handler on the worker's own event loop: the fastest way, for handlers that do not block it. */
import { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { invoke } from "./handler.js";
import type { LoadedHandler } from "./handler-file.js";
import type { Call, Runner } from "./runner.js";

export class InlineRunner implements Runner {
  readonly isolation = Isolation.INLINE;
  readonly blocking = true;
  readonly #load: () => Promise<LoadedHandler>;
  #handler: LoadedHandler | undefined;

  constructor(load: () => Promise<LoadedHandler>) {
    this.#load = load;
  }

  async start(): Promise<void> {
    this.#handler = await this.#load();
  }

  run(call: Call): void {
    const { run, codecs } = this.#handler as LoadedHandler;
    invoke(run, codecs, call);
  }

  resize(): void {
    // it has nothing for each slot
  }

  async stop(): Promise<void> {
    // a handler that ignored its abort cannot be ended; its ending is ignored
  }
}
