/** The parts of the mesh that serve: the HTTP server and the NATS service API. */

import { HttpPort } from "../../../mesh/http/port.js";
import { answerText } from "../../../mesh/http/rpc/exchange.js";
import { ServiceApi } from "../../../mesh/link/service-api.js";
import { connectBus, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { lifecycleContract } from "../../support/core/lifecycle-contract.js";
import { echoServer } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";

leakGuard();

const ANY = { host: "127.0.0.1", port: 0 };

lifecycleContract(
  "HTTP server",
  () => echoServer().server,
  async (t) => {
    const { server } = echoServer();
    await server.start();
    cleanUp(t, () => server.stop());
    return echoServer({ listen: server.address }).server;
  },
);

lifecycleContract(
  "HTTP port",
  () => new HttpPort({ listen: ANY, listener: (_, res) => answerText(res, 200, "ok") }),
  () => new HttpPort({ listen: { host: "203.0.113.1", port: 0 }, listener: (_, res) => answerText(res, 200, "ok") }),
);

lifecycleContract("NATS service API", async (t) => {
  const broker = await startBroker(t);
  const bus = await connectBus(t, broker);
  return new ServiceApi({ bus, name: "poolmesh-test", id: "t1", version: "0.0.0", endpoints: () => [] });
});
