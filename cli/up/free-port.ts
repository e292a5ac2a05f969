/** The preferred port of a service, or any free one. */
import { createServer } from "node:net";

/** `preferred` when it can be listened on now, else 0. */
export function freePort(host: string, preferred: number): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(0));
    server.listen({ host, port: preferred }, () => server.close(() => resolve(preferred)));
  });
}
