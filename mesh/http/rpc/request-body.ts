/**
 * The bytes of a request.
 *
 * Decided here: a time limit. Ending the iteration early keeps the
 * connection open, so a refusal can still be written.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { HttpRequest } from "./exchange.js";

/**
 * The body, chunk by chunk.
 *
 * @param limitMs time for all of it, in milliseconds; none for a stream of requests
 * @throws ConnectError deadline_exceeded past the limit, canceled when the client left
 */
export async function* readBody(req: HttpRequest, limitMs: number | undefined): AsyncGenerator<Uint8Array> {
  const chunks = req.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>;
  const limit = limitMs === undefined ? undefined : startLimit(limitMs);
  try {
    for (;;) {
      const chunk = await (limit === undefined ? chunks.next() : Promise.race([chunks.next(), limit.expired]));
      if (chunk.done) return;
      yield chunk.value;
    }
  } catch (error) {
    if (error instanceof ConnectError) throw error;
    throw new ConnectError("the client left", Code.Canceled);
  } finally {
    limit?.clear();
  }
}

function startLimit(limitMs: number): { expired: Promise<never>; clear: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ConnectError(`the request took longer than ${limitMs} ms to arrive`, Code.DeadlineExceeded));
    }, limitMs);
  });
  expired.catch(() => {});
  return { expired, clear: () => clearTimeout(timer) };
}
