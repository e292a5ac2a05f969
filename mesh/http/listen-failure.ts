/** Why a port could not be opened, and what to do. */
import { PoolError } from "../errors.js";
import type { Listen } from "../process/options.js";

const WHY: Record<string, string> = {
  EADDRINUSE: "the port is in use: stop the other program, or choose another port (0 is any free one)",
  EACCES: "the port needs privileges: choose one over 1023",
  EADDRNOTAVAIL: "this machine has no such address: choose one of its own, such as 127.0.0.1",
  ENOTFOUND: "the host name is unknown: use an address of this machine, such as 127.0.0.1",
};

/** What an error of listen() becomes: `invalid_argument` with the field "listen". */
export function listenFailure(error: NodeJS.ErrnoException, { host, port }: Listen): PoolError {
  const why = WHY[error.code ?? ""] ?? `cannot listen (${error.code ?? "error"})`;
  return new PoolError("invalid_argument", `listen ${host}:${port}: ${why}`, { field: "listen", cause: error });
}
