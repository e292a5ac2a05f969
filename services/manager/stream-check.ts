/**
 * Warns when a JetStream stream captures job subjects: a request there is
 * answered by the stream's acknowledgement, which looks like a result.
 */
import type { Bus } from "../../mesh/link/bus.js";
import type { Logger } from "../../mesh/process/log.js";
import type { Subjects } from "../../mesh/wire/subjects.js";

/**
 * Names of the streams that cover a subject; empty without JetStream.
 *
 * @throws what the broker answers when it cannot say
 */
export async function streamsCovering(bus: Bus, subject: string): Promise<string[]> {
  const reply = await bus.nc.request("$JS.API.STREAM.NAMES", JSON.stringify({ subject }), { timeout: 2_000 });
  const { streams } = reply.json<{ streams?: string[] | null }>();
  return streams ?? [];
}

/** Logs a warning for every stream that captures offers or submissions. Never throws. */
export async function warnOfStreams(bus: Bus, subjects: Subjects, log: Logger): Promise<void> {
  for (const subject of [`${subjects.prefix}.*.job`, subjects.every.submit(), subjects.every.submissions()]) {
    try {
      for (const stream of await streamsCovering(bus, subject)) {
        log.warn({ stream, subject }, "a stream captures this subject: its acknowledgements will look like results");
      }
    } catch {
      log.debug({ subject }, "no JetStream to ask for streams");
    }
  }
}
