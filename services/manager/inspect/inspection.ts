/** What lets others look at a manager's jobs: its answers, and what it tells of them. */
import type { Msg } from "nats";
import type { Bus } from "../../../mesh/link/bus.js";
import { telemetry } from "../../../mesh/trace/telemetry.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import { observe } from "../jobs/observers.js";
import type { Pool } from "../pool/pool.js";
import { JobAnswers } from "./answers.js";
import { DispatchTracer } from "./dispatch-tracer.js";
import { JobEvents } from "./events.js";
import { JobExemplars } from "./job-exemplars.js";

/** What it works with. */
export interface InspectionParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** This manager's id. */
  readonly manager: string;
  readonly pools: () => Iterable<Pool>;
  /** It tells what happens to jobs although nobody asks. */
  readonly jobEvents: boolean;
  /** Another manager may say there that it joins. */
  readonly onJoining: (msg: Msg) => boolean;
}

export class Inspection {
  readonly events: JobEvents;
  readonly answers: JobAnswers;
  /** Traces of jobs, for the histograms of durations. */
  readonly exemplars = new JobExemplars();
  readonly #manager: string;
  readonly #wallNow: () => number;

  constructor({ jobEvents, ...parts }: InspectionParts) {
    this.events = new JobEvents({ ...parts, always: jobEvents });
    this.answers = new JobAnswers({ ...parts, events: this.events });
    this.#manager = parts.manager;
    this.#wallNow = () => parts.bus.runtime.wallNow();
  }

  /** A pool is new: its jobs are told, and traced, where somebody asks for it. */
  attach(pool: Pool): void {
    this.events.attach(pool);
    const traced = telemetry();
    if (traced === undefined) return;
    const parts = { manager: this.#manager, exemplars: this.exemplars, wallNow: this.#wallNow };
    observe(pool.totals, new DispatchTracer(pool.name, traced, parts));
  }
}
