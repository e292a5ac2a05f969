/** Plays a script on a stage: the model, or a real broker. */
import type { Connection } from "../../../../mesh/link/connection.js";
import { Actor } from "./actor.js";
import type { BrokerStep, ClientOptions, ClientStep, ConnectStep, Script, ScriptPermissions, Step } from "./script.js";

/** Where a script is played. */
export interface Stage {
  /** Connects, or gives undefined when there is nobody to connect to. */
  connect(client: string, options: ClientOptions, once: boolean): Promise<Connection | undefined>;
  /** A server's name in scripts. */
  nameOf(server: string): string;
  wires(client: string, what: "hold" | "release" | "reset"): void;
  broker(number: number, what: "kill" | "pause" | "resume" | "lameDuck"): Promise<void>;
  start(number: number, maxPayload: number | undefined): Promise<void>;
  permit(permissions: ScriptPermissions): Promise<void>;
  addStream(name: string, subjects: readonly string[]): Promise<void>;
  removeStream(name: string): Promise<void>;
  /** Waits until `check` is true; throws when it does not become so. */
  until(check: () => boolean, what: string): Promise<void>;
  /** Waits until nothing more comes; `look` gives what is compared. */
  settle(look: () => unknown): Promise<void>;
}

/** What was compared at each `settle`, in order. */
export async function play(script: Script, stage: Stage): Promise<unknown[]> {
  const actors = new Map<string, Actor>();
  const refused = new Set<string>();
  const seen: unknown[] = [];
  const look = (): unknown => {
    const log: Record<string, readonly string[]> = {};
    for (const name of refused) log[name] = ["no connection"];
    for (const [name, actor] of actors) log[name] = [...actor.lines];
    return script.view === undefined ? log : script.view(log);
  };
  for (const step of script.steps) {
    if (step.do === "settle") {
      await stage.settle(look);
      seen.push(look());
    } else if (isConnect(step)) {
      const connection = await stage.connect(step.client, step.options, step.do === "tryConnect");
      if (connection !== undefined) actors.set(step.client, new Actor(connection, (server) => stage.nameOf(server)));
      else refused.add(step.client);
    } else if ("client" in step) await onClient(step, actors, stage);
    else await onBrokers(step, stage);
  }
  return seen;
}

async function onClient(step: ClientStep, actors: Map<string, Actor>, stage: Stage): Promise<void> {
  const actor = actors.get(step.client);
  if (actor === undefined) throw new Error(`the script has not connected ${step.client}`);
  switch (step.do) {
    case "subscribe":
      return actor.subscribe(step.name, step.subject, step.options);
    case "publish":
      return actor.publish(step.subject, step.options);
    case "ask":
      return actor.ask(step);
    case "respond":
      return actor.respond(step.name, step.payload, step.reply);
    case "unsubscribe":
    case "drain":
      return actor[step.do](step.name);
    case "hold":
    case "release":
    case "reset":
      return stage.wires(step.client, step.do);
    case "await":
      return stage.until(() => actor.lines.includes(step.line), `${step.client} sees "${step.line}"`);
    default:
      return actor[step.do]();
  }
}

function onBrokers(step: BrokerStep, stage: Stage): Promise<void> {
  switch (step.do) {
    case "start":
      return stage.start(step.broker, step.maxPayload);
    case "permit":
      return stage.permit(step.permissions);
    case "addStream":
      return stage.addStream(step.name, step.subjects);
    case "removeStream":
      return stage.removeStream(step.name);
    default:
      return stage.broker(step.broker, step.do);
  }
}

function isConnect(step: Step): step is ConnectStep {
  return step.do === "connect" || step.do === "tryConnect";
}
