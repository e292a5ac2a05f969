/**
 * The pool's utilization during the run, as the meter tells it.
 *
 * Threads are started by their first job, and do no work while they load. So what is told begins when they have
 * loaded; how long that took is told beside it.
 */

const SAMPLE_MS = 250;

/** What was seen. */
export interface Utilization {
  /** The mean from the end of the warm-up on, 0 to 1; undefined when the meter told nothing. */
  readonly mean: number | undefined;
  /** How long the warm-up took, in milliseconds. */
  readonly warmUpMs: number;
}

export class UtilizationSampler {
  readonly #url: string;
  readonly #pool: string;
  readonly #samples: number[] = [];
  #begunAtMs = 0;
  #warmAtMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param meterUrl such as "http://127.0.0.1:8090" */
  constructor(meterUrl: string, pool: string) {
    this.#url = `${meterUrl}/poolmesh.v1.MeterService/GetCapacity`;
    this.#pool = pool;
  }

  start(): void {
    this.#begunAtMs = performance.now();
    this.#timer = setInterval(() => void this.#sample().catch(() => undefined), SAMPLE_MS);
  }

  /** The threads have loaded: what was seen until now was warm-up. Only the first call counts. */
  warm(): void {
    if (this.#warmAtMs !== undefined) return;
    this.#warmAtMs = performance.now();
    this.#samples.length = 0;
  }

  /** Ends it. */
  stop(): Utilization {
    clearInterval(this.#timer);
    const sum = this.#samples.reduce((total, each) => total + each, 0);
    return {
      mean: this.#samples.length === 0 ? undefined : sum / this.#samples.length,
      warmUpMs: (this.#warmAtMs ?? this.#begunAtMs) - this.#begunAtMs,
    };
  }

  async #sample(): Promise<void> {
    const askedAtMs = performance.now();
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(this.#url, { method: "POST", headers, body: JSON.stringify({ pool: this.#pool }) });
    const { pools } = (await response.json()) as { pools?: { utilization?: number }[] };
    // an answer that was asked for before the warm-up ended is of the warm-up
    if (pools?.[0] === undefined || askedAtMs < (this.#warmAtMs ?? 0)) return;
    this.#samples.push(pools[0].utilization ?? 0);
  }
}
