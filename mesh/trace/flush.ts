/** Sends what an SDK of OpenTelemetry still holds: its batches leave after seconds, and a process may end before. */
import { telemetry } from "./telemetry.js";

/** How long that may take, in milliseconds: a collector that does not answer holds nobody up. */
const LIMIT_MS = 2_000;

/** A provider of an SDK; others have nothing to flush. */
interface Flushable {
  readonly forceFlush?: () => Promise<unknown>;
  readonly getDelegate?: () => Flushable;
}

/** Resolves when spans and metrics have left, or after two seconds; never rejects. At once where no SDK is registered. */
export async function flushTelemetry(limitMs = LIMIT_MS): Promise<void> {
  const api = telemetry()?.api;
  if (api === undefined) return;
  const providers = [api.trace.getTracerProvider(), api.metrics.getMeterProvider()] as Flushable[];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  const flushed = providers.map(async (provider) => (provider.getDelegate?.() ?? provider).forceFlush?.());
  await Promise.race([Promise.allSettled(flushed), limit]);
  clearTimeout(timer);
}
