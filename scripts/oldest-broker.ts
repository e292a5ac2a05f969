/** Prints the oldest nats-server on this machine, as "nats-server 2.9.10: /usr/sbin/nats-server". */
import { allBinaries } from "../broker/find.js";

const oldest = (await allBinaries("nats-server")).at(-1);
if (oldest === undefined) {
  console.error("no nats-server was found");
  process.exitCode = 1;
} else {
  console.log(`nats-server ${oldest.version}: ${oldest.path}`);
}
