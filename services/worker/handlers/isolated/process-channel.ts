/** Starts a child process and speaks with it by its IPC channel. */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { readThrown } from "../thrown.js";
import type { Channel, ChannelEvents, ChannelKind } from "./channel.js";
import { childFile, ownLoader } from "./child-file.js";
import type { Envelope } from "./process-child.js";
import type { FromHost, ToHost } from "./wire.js";

/** How long the last messages of a child that has exited are waited for, in milliseconds. */
const LAST_MESSAGES_MS = 200;

/** Handlers in child processes. */
export const PROCESSES: ChannelKind = { name: "process", open };

function open(events: ChannelEvents): Channel {
  const token = randomBytes(6).toString("base64");
  const loader = ownLoader();
  const child = fork(fileURLToPath(childFile("process-child")), [], {
    ...(loader === undefined ? {} : { execArgv: ["--import", loader] }),
    serialization: "advanced",
    env: { ...process.env, HANDLER_CHILD: "1" },
  });
  child.on("message", (envelope) => {
    // a handler may send messages of its own: they are ignored
    if (!Array.isArray(envelope)) return;
    const [theirs, message] = envelope as unknown as Envelope<FromHost>;
    if (theirs === token) events.onMessage(message);
  });
  whenGone(child, events);
  return {
    send: (message) => {
      // the callback takes the error of a channel that closes now
      if (child.connected) child.send([token, message] satisfies Envelope<ToHost>, () => undefined);
    },
    release: () => {
      if (child.connected) child.disconnect();
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

function whenGone(child: ChildProcess, events: ChannelEvents): void {
  let gone = false;
  const end = (how: string): void => {
    if (gone) return;
    gone = true;
    events.onGone(how);
  };
  child.once("error", (thrown) => {
    events.onMessage({ say: "uncaught", thrown: readThrown(thrown) });
    if (child.pid === undefined) end("cannot be started");
  });
  child.once("exit", (code, signal) => {
    const how = signal === null ? `exited with code ${code ?? 1}` : `was ended by ${signal}`;
    if (!child.connected) return end(how);
    const timer = setTimeout(end, LAST_MESSAGES_MS, how);
    child.once("disconnect", () => {
      clearTimeout(timer);
      end(how);
    });
  });
}
