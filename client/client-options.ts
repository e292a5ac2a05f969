/** How a client is made. */
import type { Bus } from "../mesh/link/bus.js";
import type { PartOptions } from "../mesh/link/part-options.js";
import type { LargePayloadOptions } from "../mesh/objects/large-payloads.js";

/** Options of a client. */
export interface ClientOptions extends PartOptions {
  /** @deprecated say `connection` */
  bus?: Bus;
  /** Deadline of a job that names none, in milliseconds from submit; default 30,000. */
  timeoutMs?: number;
  /**
   * Send payloads that are over the broker's limit through the object store of its JetStream, and read such results from
   * there; default false: they are `payload_too_large`. The workers need it, too.
   */
  largePayloads?: boolean | LargePayloadOptions;
}
