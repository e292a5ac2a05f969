/**
 * Makes sure that nats-server is there, and installs it when it is not:
 *
 *   node --import tsx scripts/ensure-broker.ts [--pinned] [--cli]
 *
 * --pinned: the pinned version, although another one is there. --cli: the `nats` command too.
 * NATS_SERVER names the binary to use instead.
 */
import { ensureCli, ensureServer } from "../broker/install.js";

const options = {
  onProgress: (line: string): void => console.error(line),
  pinned: process.argv.includes("--pinned"),
};

try {
  const path = process.env.NATS_SERVER;
  const server = await ensureServer({ ...options, ...(path ? { path, pinned: false } : {}) });
  console.log(`nats-server ${server.version}: ${server.path}`);
  if (process.argv.includes("--cli")) {
    const cli = await ensureCli(options);
    console.log(`nats ${cli.version}: ${cli.path}`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
