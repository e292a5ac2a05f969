/** ManagerService as a bare connect-node echo: same messages, no gate, no limit, no job behind it. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { managerProto, type SubmitManyRequest } from "../harness/processes/services.js";
import type { Secured } from "../harness/secured.js";

const WORKER = "w0";

/** Starts it; its URLs for HTTP/1.1, for cleartext HTTP/2, and for both over TLS. */
export async function start(secured: Secured): Promise<{ http1: string; http2: string; https: string }> {
  const handler = connectNodeAdapter({ routes });
  const tls = { cert: readFileSync(secured.certFile), key: readFileSync(secured.keyFile), allowHTTP1: true };
  return {
    http1: await listen(createServer(handler)),
    http2: await listen(createHttp2Server(handler)),
    https: await listen(createSecureServer(tls, handler), "https"),
  };
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

function listen(server: Server | Http2Server | Http2SecureServer, scheme = "http"): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}
