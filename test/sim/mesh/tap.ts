/**
 * What an actor publishes, seen on its way to the connection.
 *
 * Decided here: what a process writes while its event loop is blocked leaves it
 * when the block ends, since Node.js writes to a socket between two turns.
 */
import type { Connection } from "../../../mesh/link/connection.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import type { SimulatedProcess } from "../../../testing/sim/sim-process.js";
import { type History, traceText } from "../history.js";
import { POOL } from "../plan.js";
import type { SimWorld } from "../world-clock.js";

/** Who publishes. */
export interface TapParts {
  readonly world: SimWorld;
  readonly history: History;
  readonly actor: string;
  readonly process: SimulatedProcess;
}

const CANCEL = `pool.${POOL}.cancel.`;
/** The trace does not show these: they come all the time. */
const QUIET = /^(\$SRV|pool\.\w+\.(heartbeat|manager)\.)/;

type Publish = Connection["publish"];

/** Records revocations, traces messages, and delays what a blocked process writes. */
export function tapConnection<C extends Connection>(connection: C, parts: TapParts): C {
  const { world, process } = parts;
  const publish = connection.publish.bind(connection);
  const late: Publish = (...args) => {
    const atMs = process.busyUntilMs;
    if (atMs <= world.now()) return publish(...args);
    world.at(atMs, () => process.alive && !connection.isClosed() && publish(...args));
  };
  connection.publish = (...args) => {
    const [subject, , options] = args;
    if (subject.startsWith(CANCEL)) recordRevocation(parts, subject, options?.headers?.get(HEADER.attempt) ?? "");
    if (world.traced && !QUIET.test(subject)) traceMessage(parts, args);
    late(...args);
  };
  return connection;
}

function recordRevocation({ history, actor }: TapParts, subject: string, attempt: string): void {
  if (attempt === "") return;
  history.record({ kind: "revoke", by: actor, id: subject.slice(CANCEL.length), upTo: Number(attempt) });
}

function traceMessage({ world, actor }: TapParts, [subject, payload, options]: Parameters<Publish>): void {
  const { headers, reply } = options ?? {};
  const said = [...(headers ?? [])].map(([name, values]) => `${name.replace(/^Pool-/, "")}=${values.join(",")}`);
  const bytes = payload?.length ?? 0;
  const where = reply === undefined ? "" : ` reply ${reply}`;
  world.trace(traceText(actor, `→ ${subject} ${bytes} bytes${where} ${said.join(" ")}`.trimEnd()));
}
