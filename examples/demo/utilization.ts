/** The pool's utilization during the run, as the meter tells it. */

const SAMPLE_MS = 250;

export class UtilizationSampler {
  readonly #url: string;
  readonly #pool: string;
  readonly #samples: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param meterUrl such as "http://127.0.0.1:8090" */
  constructor(meterUrl: string, pool: string) {
    this.#url = `${meterUrl}/poolmesh.v1.MeterService/GetCapacity`;
    this.#pool = pool;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#sample().catch(() => undefined), SAMPLE_MS);
  }

  /** Ends it and gives the mean, 0 to 1; undefined when the meter told nothing. */
  stop(): number | undefined {
    clearInterval(this.#timer);
    if (this.#samples.length === 0) return undefined;
    return this.#samples.reduce((sum, each) => sum + each, 0) / this.#samples.length;
  }

  async #sample(): Promise<void> {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(this.#url, { method: "POST", headers, body: JSON.stringify({ pool: this.#pool }) });
    const { pools } = (await response.json()) as { pools?: { utilization?: number }[] };
    if (pools?.[0] !== undefined) this.#samples.push(pools[0].utilization ?? 0);
  }
}
