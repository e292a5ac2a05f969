/** Starts a thread and speaks with it by a port of its own. */
import { MessageChannel, Worker } from "node:worker_threads";
import { readThrown } from "../thrown.js";
import type { Channel, ChannelEvents, ChannelKind } from "./channel.js";
import { childFile, ownLoader } from "./child-file.js";
import type { ThreadData } from "./thread-child.js";
import type { FromHost } from "./wire.js";

/** Handlers in threads. */
export const THREADS: ChannelKind = { name: "thread", open };

function open(events: ChannelEvents): Channel {
  const { port1: near, port2: far } = new MessageChannel();
  const child = childFile("thread-child");
  const loader = ownLoader(child);
  const thread = new Worker(new URL(loader ?? child), {
    ...(loader === undefined ? {} : { execArgv: [] }),
    workerData: { port: far } satisfies ThreadData,
    transferList: [far],
  });
  let killed = false;
  near.on("message", (message: FromHost) => events.onMessage(message));
  thread.on("error", (thrown) => events.onMessage({ say: "uncaught", thrown: readThrown(thrown) }));
  thread.once("exit", (code) => {
    // its last messages are still on their way
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
