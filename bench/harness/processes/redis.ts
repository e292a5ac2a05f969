/** Redis, for the arms that need it. */
import { execFileSync } from "node:child_process";
import { Agent } from "./agent.js";

type RedisAgent = typeof import("../../agents/redis.js");

const BINARY = "redis-server";

/** Its version, such as "7.0.15"; undefined when there is no Redis on this machine. */
export function redisVersion(): string | undefined {
  try {
    return /v=([\d.]+)/.exec(execFileSync(BINARY, ["--version"], { encoding: "utf8" }))?.[1];
  } catch {
    return undefined;
  }
}

/** A running Redis. */
export class Redis {
  readonly #agent: Agent<RedisAgent>;

  /** @param synced each write is on the disk before it is acknowledged; else nothing is written there */
  static async start(synced: boolean): Promise<Redis> {
    const agent = await Agent.start<RedisAgent>("redis");
    const { port, pid } = await agent.ask("start", BINARY, synced);
    return new Redis(agent, port, pid);
  }

  private constructor(
    agent: Agent<RedisAgent>,
    readonly port: number,
    readonly pid: number,
  ) {
    this.#agent = agent;
  }

  stop(): Promise<void> {
    return this.#agent.stop();
  }
}
