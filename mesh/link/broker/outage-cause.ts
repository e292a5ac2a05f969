/**
 * Why a lost connection does not come back: the NATS client tries again for
 * ever and tells nobody why it fails. A certificate that was changed, a broker
 * that is full and a broker that is gone are different work for a person.
 */
import type { Logger } from "../../process/log.js";
import type { Connection } from "../connection.js";
import type { Runtime, Timer } from "../runtime.js";
import type { BrokerOptions } from "./options.js";

/** An outage that lasts longer than this is explained, and looked at again after as long, in milliseconds. */
const LOOK_INTERVAL_MS = 2_000;

/** The connection that is watched: a bus. */
export interface WatchedConnection {
  readonly connected: boolean;
  readonly nc: Connection;
  readonly runtime: Runtime;
  on(event: "disconnect" | "reconnect", listener: () => void): unknown;
}

/** Logs the cause of each outage of `bus`, and again when it changes. Ends with the connection. */
export function tellOutageCauses(bus: WatchedConnection, broker: BrokerOptions, log: Logger): void {
  const { runtime, nc } = bus;
  let timer: Timer | undefined;
  let told = "";
  const isOver = (): boolean => bus.connected || nc.isClosed();
  const look = async (): Promise<void> => {
    if (isOver()) return;
    const { message } = await broker.explain(new Error("timeout"));
    if (isOver()) return;
    if (message !== told) log.warn({ reason: message }, "waiting for the broker");
    told = message;
    wait();
  };
  const wait = (): void => {
    runtime.cancel(timer);
    timer = runtime.after(LOOK_INTERVAL_MS, () => void look(), "background");
  };
  bus.on("disconnect", () => {
    told = "";
    wait();
  });
  bus.on("reconnect", () => runtime.cancel(timer));
  void nc.closed().then(() => runtime.cancel(timer));
}
