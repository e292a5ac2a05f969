/** A process that owns a broker and prints its process id and its folder's store; for the test of orphans. */
import { Broker } from "../../../broker/broker.js";

const broker = new Broker({ port: "any", ...(process.argv[2] ? { binary: process.argv[2] } : {}) });
await broker.start();
console.log(`broker ${broker.pid} ${broker.url}`);
