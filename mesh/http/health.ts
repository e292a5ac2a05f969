/**
 * The standard gRPC health service: Check and Watch.
 *
 * Decided here: how a source of statuses is served. Not decided here: what is
 * healthy.
 */
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.js";

export { ServingStatus };

/** Where statuses come from. A name is "" (the whole server), a service's full name, or "pool/NAME". */
export interface HealthSource {
  /** The status of a name now; undefined when the name is unknown. */
  check(name: string): ServingStatus | undefined;
  /** Calls `listener` when any status may have changed; returns the function that stops it. */
  watch(listener: () => void): () => void;
}

/** Serves `source` as grpc.health.v1.Health. */
export function healthRoutes(router: ConnectRouter, source: HealthSource): void {
  router.service(Health, {
    check(request: HealthCheckRequest) {
      const status = source.check(request.service);
      if (status === undefined) throw new ConnectError("unknown service", Code.NotFound);
      return { status };
    },
    watch: (request, context) => watchHealth(source, request.service, context),
  });
}

async function* watchHealth(source: HealthSource, name: string, context: HandlerContext) {
  let wake: () => void = () => {};
  const stop = source.watch(() => wake());
  const onAbort = (): void => {
    stop();
    wake();
  };
  context.signal.addEventListener("abort", onAbort, { once: true });
  try {
    let last: ServingStatus | undefined;
    while (!context.signal.aborted) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const status = source.check(name) ?? ServingStatus.SERVICE_UNKNOWN;
      if (status !== last) {
        last = status;
        yield { status };
      }
      if (!context.signal.aborted) await changed;
    }
    throw context.signal.reason;
  } finally {
    stop();
    context.signal.removeEventListener("abort", onAbort);
  }
}

/** How often {@link ReadyHealth} looks, while somebody watches, in milliseconds. */
const LOOK_INTERVAL_MS = 500;

/** The health of a server that only knows whether it is ready: the same for all its services. */
export class ReadyHealth implements HealthSource {
  readonly #names: ReadonlySet<string>;
  readonly #isReady: () => boolean;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  /** @param services full names of the services served */
  constructor(services: readonly string[], isReady: () => boolean) {
    this.#names = new Set(["", ...services]);
    this.#isReady = isReady;
  }

  check(name: string): ServingStatus | undefined {
    if (!this.#names.has(name)) return undefined;
    return this.#isReady() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => {
      for (const each of this.#listeners) each();
    }, LOOK_INTERVAL_MS);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }
}
