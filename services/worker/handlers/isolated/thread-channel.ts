/** Starts a thread and speaks with it by a port of its own. */
import { MessageChannel, Worker } from "node:worker_threads";
import { readThrown } from "../thrown.js";
import type { Channel, ChannelEvents, ChannelKind } from "./channel.js";
import { childFile } from "./child-file.js";
import type { ThreadData } from "./thread-child.js";
import type { FromHost } from "./wire.js";

/** Handlers in threads. */
export const THREADS: ChannelKind = { name: "thread", open };

function open(events: ChannelEvents): Channel {
  const { port1: near, port2: far } = new MessageChannel();
  const thread = new Worker(firstScript(), {
    workerData: { port: far } satisfies ThreadData,
    transferList: [far],
  });
  let killed = false;
  near.on("message", (message: FromHost) => events.onMessage(message));
  thread.on("error", (thrown) => events.onMessage({ say: "uncaught", thrown: readThrown(thrown) }));
  thread.once("exit", (code) => {
    // what it said before its end is on its way
    setImmediate(() => {
      near.close();
      events.onGone(killed ? "was ended" : `exited with code ${code}`);
    });
  });
  return {
    send: (message) => near.postMessage(message),
    // a thread that has nothing to listen to ends
    release: () => near.close(),
    kill: () => {
      killed = true;
      void thread.terminate();
    },
  };
}

/** A thread inherits no loader, so from sources it gets one before our code. */
function firstScript(): URL {
  const child = childFile("thread-child");
  if (!child.endsWith(".ts")) return new URL(child);
  const [loader, main] = [import.meta.resolve("tsx/esm/api"), child].map((each) => JSON.stringify(each));
  return new URL(`data:text/javascript,(await import(${loader})).register(); await import(${main});`);
}
