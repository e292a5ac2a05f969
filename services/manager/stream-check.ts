/**
 * Notices JetStream streams that capture subjects at which somebody answers: a request there is
 * answered by the stream's acknowledgement, which looks like a result, and nobody hears that nobody listens.
 *
 * Asked at the start and every {@link CHECK_EVERY_MS}, since streams come and go. A stream over offers is also
 * noticed by its acknowledgements (jobs/totals.ts); one over submissions acknowledges to the callers alone.
 */
import type { Bus } from "../../mesh/link/bus.js";
import type { Timer } from "../../mesh/link/runtime.js";
import { type Logger, silentLog } from "../../mesh/process/log.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import type { Pool } from "./pool/pool.js";

/** How often the broker is asked, in milliseconds. */
const CHECK_EVERY_MS = 15_000;
/** So many pools are looked at in one check, while there is such a stream. */
const MAX_POOLS = 100;
const ANSWER_LIMIT_MS = 2_000;

/** What is said at a subject to which somebody answers: to all or one of them, after the pool's name. */
const ASKED = [
  ...["job", "job.*", "submit", "submit.*", "submissions", "cancel.*"],
  ...["control", "control.*", "jobs", "enqueue", "lookup"],
];

/** Subjects at which a stream would answer in the place of a worker or a manager, of one pool or, with `*`, of all. */
export function askedSubjects({ prefix }: Subjects, pool = "*"): string[] {
  return ASKED.map((verb) => `${prefix}.${pool}.${verb}`);
}

/**
 * Names of the streams that cover a subject; empty without JetStream.
 *
 * @throws what the broker answers when it cannot say
 */
export async function streamsCovering(bus: Bus, subject: string): Promise<string[]> {
  const payload = JSON.stringify({ subject });
  const reply = await bus.nc.request("$JS.API.STREAM.NAMES", payload, { timeout: ANSWER_LIMIT_MS });
  const { streams } = reply.json<{ streams?: string[] | null }>();
  return streams ?? [];
}

/** What it works with. */
export interface StreamCheckParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** The pools that are told when a stream covers their subjects. */
  readonly pools: () => Iterable<Pool>;
  readonly log?: Logger;
}

/** The checks of one manager. Never throws. */
export class StreamCheck {
  readonly #parts: StreamCheckParts;
  readonly #log: Logger;
  /** Stream and subject, once each. */
  readonly #told = new Set<string>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: StreamCheckParts) {
    this.#parts = parts;
    this.#log = parts.log ?? silentLog;
  }

  /** Resolves after the first check. */
  async start(): Promise<void> {
    await this.#check();
    if (!this.#stopped)
      this.#timer = this.#parts.bus.runtime.after(CHECK_EVERY_MS, () => void this.start(), "background");
  }

  stop(): void {
    this.#stopped = true;
    this.#parts.bus.runtime.cancel(this.#timer);
  }

  async #check(): Promise<void> {
    const { bus, subjects, pools } = this.#parts;
    if (!bus.connected || bus.nc.info?.jetstream !== true) return;
    try {
      const all = askedSubjects(subjects);
      const found = await this.#ask(all);
      for (const { stream, subject } of found) this.#tell(stream, subject);
      if (found.length === 0) return;
      const isFound = new Set(found.map(({ subject }) => all.indexOf(subject)));
      for (const pool of [...pools()].slice(0, MAX_POOLS)) {
        const own = askedSubjects(subjects, pool.name).filter((_, at) => isFound.has(at));
        const [covering] = await this.#ask(own);
        if (covering !== undefined) pool.totals.streamCovers(covering.stream, bus.runtime.now());
      }
    } catch (thrown) {
      this.#log.debug({ err: thrown }, "the broker does not say which streams it has");
      // What is not allowed is not asked again: each refusal is a line in the broker's log.
      if (thrown instanceof Error && thrown.name === "PermissionViolationError") this.stop();
    }
  }

  async #ask(subjects: readonly string[]): Promise<{ stream: string; subject: string }[]> {
    const { bus } = this.#parts;
    const all = await Promise.all(
      subjects.map(async (subject) => {
        const streams = await streamsCovering(bus, subject);
        return streams.map((stream) => ({ stream, subject }));
      }),
    );
    return all.flat();
  }

  #tell(stream: string, subject: string): void {
    const key = `${stream} ${subject}`;
    if (this.#told.has(key) || this.#told.size >= MAX_POOLS) return;
    this.#told.add(key);
    this.#log.warn({ stream, subject }, "a stream captures this subject: its acknowledgements will look like answers");
  }
}
