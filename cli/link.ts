/** A command's connection to the broker: opened for its work, closed after it. */
import { Bus } from "../mesh/link/bus.js";
import { Inbox } from "../mesh/link/inbox.js";
import { brokerSecrets } from "../mesh/process/bus-config.js";
import { Subjects } from "../mesh/wire/subjects.js";
import { warnOfSecrets } from "./output/loose-files.js";
import type { Shell } from "./shell.js";
import { BUS_SPECS, readOptions, toCliBus } from "./spec-options.js";

/** What a command needs to ask something of the mesh. */
export interface Link {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
}

/**
 * Runs `work` with a connection made of the command's flags.
 *
 * @throws PoolError `invalid_argument`, `bus_unavailable`, `unauthenticated`, and what `work` throws
 */
export async function withLink<T>(
  shell: Shell,
  options: Readonly<Record<string, unknown>>,
  work: (link: Link) => Promise<T>,
): Promise<T> {
  const config = readOptions(shell, options, BUS_SPECS);
  await warnOfSecrets(shell, brokerSecrets(config));
  const bus = await Bus.connect(toCliBus(config));
  const inbox = new Inbox(bus);
  try {
    return await work({ bus, inbox, subjects: new Subjects(config.prefix) });
  } finally {
    inbox.stop();
    await bus.close();
  }
}
