/** The near end of a thread or child process: messages out, messages in, its end. */
import type { FromHost, ToHost } from "./wire.js";

/** What a channel hears. */
export interface ChannelEvents {
  onMessage(message: FromHost): void;
  /** Called once, after the last message. @param how such as "exited with code 7" */
  onGone(how: string): void;
}

/** One thread or child process. */
export interface Channel {
  /** Nothing is sent to one that is gone. */
  send(message: ToHost): void;
  /** Lets it leave by itself: it has nothing to do any more. */
  release(): void;
  /** Ends it at once. */
  kill(): void;
}

/** Starts a thread or child. */
export interface ChannelKind {
  /** What errors call it. */
  readonly name: "thread" | "process";
  open(events: ChannelEvents): Channel;
}
