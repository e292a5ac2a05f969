/** The dead letters of one pool through a manager's HTTP interface. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { DeadFilter } from "../../../client/durable/dead-letters.js";
import { MAX_PAGE } from "../../../client/durable/job-reads.js";
import {
  type DeadChange,
  type DeadLetter as DeadLetterMessage,
  PayloadForm,
} from "../../../gen/poolmesh/v1/durable_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { keyOf, PROTO_PRIORITIES } from "../../../mesh/job/proto-priorities.js";
import { fromErrorDetail } from "../../../mesh/wire/connect-errors.js";
import type { DeadSource, ShownLetter } from "../../sources/durable.js";
import type { RemotePool } from "../remote-pool.js";

const DEFAULT_LIMIT = 1_000;

export class RemoteDead implements DeadSource {
  readonly #remote: RemotePool;

  constructor(remote: RemotePool) {
    this.#remote = remote;
  }

  async *list({ ids, reason = "", olderThanMs = 0, limit = DEFAULT_LIMIT }: DeadFilter): AsyncGenerator<ShownLetter> {
    if (ids !== undefined) return yield* this.#named(ids);
    const filter = { pool: this.#remote.pool, reason, olderThanMs: BigInt(olderThanMs) };
    let left = limit;
    for (let pageToken = ""; left > 0; ) {
      const request = { ...filter, pageSize: Math.min(MAX_PAGE, left), pageToken };
      const page = await this.#remote.ask((service, options) => service.listDead(request, options));
      for (const letter of page.letters) yield toLetter(letter, undefined);
      left -= page.letters.length;
      pageToken = page.nextPageToken;
      if (pageToken === "") return;
    }
  }

  async get(jobId: string): Promise<ShownLetter | undefined> {
    const request = { pool: this.#remote.pool, jobId, form: PayloadForm.BYTES };
    try {
      const { letter, input } = await this.#remote.ask((service, options) => service.getDead(request, options));
      return letter && toLetter(letter, input.case === "payload" ? input.value : undefined);
    } catch (thrown) {
      if (thrown instanceof PoolError && thrown.reason === "not_found") return undefined;
      throw thrown;
    }
  }

  async retry(id: string): Promise<void> {
    const request = { selector: { pool: this.#remote.pool, jobIds: [id] } };
    throwError((await this.#remote.ask((service, options) => service.retryDead(request, options))).changes);
  }

  async purge(id: string): Promise<void> {
    const request = { selector: { pool: this.#remote.pool, jobIds: [id] } };
    throwError((await this.#remote.ask((service, options) => service.purgeDead(request, options))).changes);
  }

  async requireLane(): Promise<void> {
    await this.#remote.ask((service, options) => service.getLanes({ pool: this.#remote.pool }, options));
  }

  async *#named(ids: readonly string[]): AsyncGenerator<ShownLetter> {
    for (const id of ids) {
      const letter = await this.get(id);
      if (letter !== undefined) yield letter;
    }
  }
}

function toLetter(letter: DeadLetterMessage, payload: Uint8Array | undefined): ShownLetter {
  const { jobId: id, sequence, error, attempt, diedAt, client } = letter;
  return {
    id,
    sequence: Number(sequence),
    error: error === undefined ? new PoolError("internal", "a dead letter without an error") : fromErrorDetail(error),
    attempt,
    priority: keyOf(PROTO_PRIORITIES, letter.priority) ?? "normal",
    diedAt: diedAt === undefined ? new Date(0) : timestampDate(diedAt),
    client,
    payload,
  };
}

function throwError([change]: readonly DeadChange[]): void {
  if (change?.error !== undefined) throw fromErrorDetail(change.error);
}
