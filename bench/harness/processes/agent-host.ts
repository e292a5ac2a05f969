/**
 * The process that an agent runs in: loads the agent's file and answers calls of
 * its exported functions. Ends with its parent.
 */

/** One call and its answer, as they cross. */
export interface AgentCall {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}
export interface AgentAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

type AgentFile = Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;

const file = process.argv[2];
if (file !== undefined && process.send !== undefined) {
  const agent = (await import(file)) as AgentFile;
  process.on("message", (message) => void answer(agent, message as AgentCall));
  process.on("disconnect", () => process.exit(0));
  process.send("ready");
}

async function answer(agent: AgentFile, { id, name, args }: AgentCall): Promise<void> {
  const reply = (answer: Omit<AgentAnswer, "id">): void => void process.send?.({ id, ...answer });
  try {
    reply({ value: await agent[name]?.(...args) });
  } catch (error) {
    reply({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}
