/** The one message for a machine without nats-server. */
import { PoolError } from "../mesh/errors.js";

/**
 * The error that says how to get nats-server.
 *
 * @param tried what was tried to install it, and how each ended
 */
export function missingServer(tried: readonly string[] = []): PoolError {
  const lines = [
    "nats-server was not found on this machine. Any one of these helps:",
    "  Go:            go install github.com/nats-io/nats-server/v2@latest",
    "  Debian/Ubuntu: sudo apt-get install nats-server",
    "  macOS:         brew install nats-server",
    "  or point NATS_URL to a broker that runs already",
    ...tried.map((each) => `  tried: ${each}`),
  ];
  return new PoolError("bus_unavailable", lines.join("\n"));
}
