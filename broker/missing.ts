/** The one message for a machine without nats-server or the `nats` command. */
import { PoolError } from "../mesh/errors.js";
import type { BinaryName } from "./find.js";

const WAYS: Readonly<Record<BinaryName, readonly string[]>> = {
  "nats-server": [
    "Go:            go install github.com/nats-io/nats-server/v2@latest",
    "Debian/Ubuntu: sudo apt-get install nats-server",
    "macOS:         brew install nats-server",
    "or point NATS_URL to a broker that runs already",
  ],
  nats: ["Go:    go install github.com/nats-io/natscli/nats@latest", "macOS: brew install nats-io/nats-tools/nats"],
};

/**
 * The error that says how to get a binary.
 *
 * @param tried the ways of installing it that were tried, and how each failed
 */
export function missingBinary(name: BinaryName, tried: readonly string[] = []): PoolError {
  const lines = [
    `${name} was not found on this machine. Any one of these helps:`,
    ...WAYS[name].map((each) => `  ${each}`),
    ...tried.map((each) => `  tried: ${each}`),
  ];
  return new PoolError("bus_unavailable", lines.join("\n"));
}
