/**
 * The token that this page's reader has typed.
 *
 * It is in this object and nowhere else: no cookie, no storage, no address. It goes when
 * the page is closed or loaded again.
 */
import { createClient } from "@connectrpc/connect";
import { createMeterClient, meterTransport } from "../../../../browser/meter-client.js";
import { DurableService } from "../../../../gen/poolmesh/v1/durable_pb.js";
import { JobService } from "../../../../gen/poolmesh/v1/job_pb.js";

/** One page's session. */
export class Session {
  #token: string | undefined;

  /** What calls bear; undefined: nothing. */
  readonly token = (): string | undefined => this.#token;
  readonly #transport = meterTransport({ token: this.token });
  /** A client of the meter that bears it. */
  readonly client = createMeterClient({ transport: this.#transport });
  /** The same for the jobs that managers have. */
  readonly jobs = createClient(JobService, this.#transport);
  /** The same for what the meter tells of the durable lane. */
  readonly lane = createClient(DurableService, this.#transport);

  /** From now on calls bear this. */
  use(token: string): void {
    this.#token = token;
  }
}
