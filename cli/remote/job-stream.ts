/** One SubmitMany stream: jobs go in as they come, each hears its answer or that the stream broke. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  SubmitManyRequestSchema,
  SubmitManyResponse,
  SubmitRequestSchema,
} from "../../gen/poolmesh/v1/manager_pb.js";
import type { PoolError } from "../../mesh/errors.js";

type Request = MessageInitShape<typeof SubmitManyRequestSchema>;

/** What the stream needs. */
export interface JobStreamPorts {
  call(requests: AsyncIterable<Request>, signal: AbortSignal): AsyncIterable<SubmitManyResponse>;
  /** @param thrown undefined when the server ended the stream without an error */
  failureOf(thrown: unknown, wasSent: boolean): PoolError;
  /** The stream takes no more jobs. */
  onEnd(): void;
}

/** Who waits for a job's end; one of the two is called, once. */
export interface Waiting {
  onAnswer(answer: SubmitManyResponse): void;
  onBroken(error: PoolError): void;
}

export class JobStream {
  readonly #ports: JobStreamPorts;
  readonly #abort = new AbortController();
  /** Jobs that the transport has not taken yet. */
  readonly #queue: Request[] = [];
  readonly #waiting = new Map<bigint, Waiting>();
  #lastRef = 0n;
  #wake: () => void = () => {};

  constructor(ports: JobStreamPorts) {
    this.#ports = ports;
  }

  send(job: MessageInitShape<typeof SubmitRequestSchema>, waiting: Waiting): void {
    this.#lastRef += 1n;
    this.#waiting.set(this.#lastRef, waiting);
    this.#queue.push({ ref: this.#lastRef, job });
    this.#wake();
  }

  /** Ends it; whoever still waits hears that. */
  close(): void {
    this.#abort.abort();
    this.#wake();
  }

  /** Runs until the stream ends. Never rejects. */
  async run(): Promise<void> {
    let thrown: unknown;
    try {
      for await (const answer of this.#ports.call(this.#requests(), this.#abort.signal)) {
        const waiting = this.#waiting.get(answer.ref);
        this.#waiting.delete(answer.ref);
        waiting?.onAnswer(answer);
      }
    } catch (error) {
      thrown = error;
    }
    this.#ports.onEnd();
    this.#abort.abort();
    this.#wake();
    const unsent = new Set(this.#queue.map(({ ref }) => ref));
    for (const [ref, { onBroken }] of this.#waiting) onBroken(this.#ports.failureOf(thrown, !unsent.has(ref)));
    this.#waiting.clear();
  }

  async *#requests(): AsyncGenerator<Request> {
    while (!this.#abort.signal.aborted) {
      const next = this.#queue.shift();
      if (next !== undefined) {
        yield next;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
