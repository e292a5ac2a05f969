/** ManagerService as a bare connect-node echo: same messages, no gate, no limit, no job behind it. */
import { createServer, type Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { managerProto, type SubmitManyRequest } from "../harness/services.js";

const WORKER = "w0";

/** Starts it; its URLs for HTTP/1.1 and for cleartext HTTP/2. */
export async function start(): Promise<{ http1: string; http2: string }> {
  const handler = connectNodeAdapter({ routes });
  return { http1: await listen(createServer(handler)), http2: await listen(createHttp2Server(handler)) };
}

function routes(router: ConnectRouter): void {
  router.service(managerProto.ManagerService, {
    submit: ({ input }) => ({ jobId: "job", output: outputOf(input), worker: WORKER, attempt: 1 }),
    async *submitMany(requests: AsyncIterable<SubmitManyRequest>) {
      for await (const { ref, job } of requests) {
        const value = { jobId: "job", output: outputOf(job?.input), worker: WORKER, attempt: 1 };
        yield { ref, outcome: { case: "result" as const, value } };
      }
    },
  });
}

function outputOf(input: { case?: string | undefined; value?: unknown } | undefined) {
  return { case: "payload" as const, value: input?.value as Uint8Array<ArrayBuffer> };
}

function listen(server: Server | Http2Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}
