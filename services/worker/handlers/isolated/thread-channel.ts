/** Starts a thread and speaks with it by a port of its own. */
import { MessageChannel, Worker } from "node:worker_threads";
import { isEndingNow, leaveNow } from "../../../../mesh/process/leave-now.js";
import { readThrown } from "../thrown.js";
import type { Channel, ChannelEvents, ChannelKind } from "./channel.js";
import { childFile, ownLoader } from "./child-file.js";
import type { ThreadData } from "./thread-child.js";
import type { FromHost } from "./wire.js";

/** How long a thread may take to end by force, in milliseconds. */
const STUCK_MS = 1_000;

/** Those that have not ended, and those among them that did not end by force. */
const live = new Set<Worker>();
const stuck = new Set<Worker>();

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
  live.add(thread);
  process.off("exit", leaveWithoutThem).on("exit", leaveWithoutThem);
  let killed = false;
  let isGone = false;
  const onGone = (how: string): void => {
    if (isGone) return;
    isGone = true;
    near.close();
    events.onGone(how);
  };
  near.on("message", (message: FromHost) => events.onMessage(message));
  thread.on("error", (thrown) => events.onMessage({ say: "uncaught", thrown: readThrown(thrown) }));
  thread.once("exit", (code) => {
    live.delete(thread);
    stuck.delete(thread);
    // its last messages are still on their way
    setImmediate(() => onGone(killed ? "was ended" : `exited with code ${code}`));
  });
  return {
    send: (message) => near.postMessage(message),
    // a thread that has nothing to listen to ends
    release: () => near.close(),
    kill: () => {
      killed = true;
      void thread.terminate();
      const timer = setTimeout(() => {
        giveUp(thread);
        onGone("was ended, and is still blocked in native code");
      }, STUCK_MS);
      thread.once("exit", () => clearTimeout(timer));
    },
  };
}

/** A thread that is blocked in native code, such as `spawnSync`, ends when that returns. Until then it keeps nobody. */
function giveUp(thread: Worker): void {
  stuck.add(thread);
  thread.unref();
}

/** The end of the process would wait for them. Who ends it now does not wait to see which of them are stuck. */
function leaveWithoutThem(code: number): void {
  if (stuck.size > 0 || (isEndingNow() && live.size > 0)) leaveNow(code);
}
