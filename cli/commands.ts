/** Every command: its place in `--help`, and where it is. None is loaded before it is asked for. */
import type { Command } from "commander";
import type { Shell } from "./shell.js";

/** A command's file. */
export interface CommandModule {
  /** Adds arguments, options, help and the action to a command that has its name and summary already. */
  define(command: Command, shell: Shell): void;
}

/** A command by name. */
export interface CommandEntry {
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}

const RUN = "Run a mesh:";
const JOBS = "Jobs:";
const WORKERS = "Workers:";
const LOOK = "Look:";
const ACCESS = "Access:";

/** In the order of `--help`. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "up",
    group: RUN,
    summary: "a whole mesh: broker, manager, meter and workers",
    load: () => import("./serve/up.js"),
  },
  {
    name: "manager",
    group: RUN,
    summary: "a manager: turns jobs into results",
    load: () => import("./serve/manager.js"),
  },
  { name: "worker", group: RUN, summary: "a worker: runs jobs of one pool", load: () => import("./serve/worker.js") },
  {
    name: "meter",
    group: RUN,
    summary: "a meter: capacity as streams, metrics and a page",
    load: () => import("./serve/meter.js"),
  },
  { name: "nats", group: RUN, summary: "the embedded broker alone", load: () => import("./serve/nats.js") },
  {
    name: "healthz",
    group: RUN,
    summary: "whether the manager or meter of this host is up",
    load: () => import("./serve/healthz.js"),
  },
  { name: "submit", group: JOBS, summary: "run one job and print its result", load: () => import("./jobs/submit.js") },
  {
    name: "map",
    group: JOBS,
    summary: "a job for each line or file, results as NDJSON",
    load: () => import("./jobs/map.js"),
  },
  {
    name: "enqueue",
    group: JOBS,
    summary: "store a job that outlives its caller",
    load: () => import("./durable/enqueue.js"),
  },
  {
    name: "jobs",
    group: JOBS,
    summary: "list the stored jobs of a pool, or all jobs at managers",
    load: () => import("./durable/jobs.js"),
  },
  {
    name: "job",
    group: JOBS,
    summary: "where a job stands, and how it ended",
    load: () => import("./durable/job.js"),
  },
  {
    name: "tail",
    group: JOBS,
    summary: "what happens to jobs, one line an event",
    load: () => import("./inspect/tail.js"),
  },
  {
    name: "batches",
    group: JOBS,
    summary: "many stored jobs, and one that is enqueued at their end",
    load: () => import("./durable/batches.js"),
  },
  {
    name: "cron",
    group: JOBS,
    summary: "list, set or remove cron schedules",
    load: () => import("./durable/cron.js"),
  },
  {
    name: "limits",
    group: JOBS,
    summary: "how many stored jobs of a pool or a key run at once",
    load: () => import("./durable/limits.js"),
  },
  {
    name: "pause-pool",
    group: JOBS,
    summary: "let no stored job of a pool begin",
    load: () => import("./durable/pause-pool.js"),
  },
  {
    name: "resume-pool",
    group: JOBS,
    summary: "let stored jobs of a pool begin again",
    load: () => import("./durable/resume-pool.js"),
  },
  {
    name: "dead",
    group: JOBS,
    summary: "list, show, retry or purge dead letters",
    load: () => import("./durable/dead.js"),
  },
  { name: "cancel", group: JOBS, summary: "cancel a job, parked or running", load: () => import("./jobs/cancel.js") },
  { name: "workers", group: WORKERS, summary: "list workers", load: () => import("./control/workers.js") },
  {
    name: "drain",
    group: WORKERS,
    summary: "take nothing new, finish, leave",
    load: () => import("./control/drain.js"),
  },
  {
    name: "pause",
    group: WORKERS,
    summary: "take nothing new until resumed",
    load: () => import("./control/pause.js"),
  },
  { name: "resume", group: WORKERS, summary: "take jobs again", load: () => import("./control/resume.js") },
  { name: "resize", group: WORKERS, summary: "change the number of slots", load: () => import("./control/resize.js") },
  {
    name: "restart",
    group: WORKERS,
    summary: "restart workers one by one, losing nothing",
    load: () => import("./control/restart.js"),
  },
  { name: "top", group: LOOK, summary: "pools and workers, live", load: () => import("./top/top-command.js") },
  {
    name: "durable",
    group: LOOK,
    summary: "the durable lane: stored jobs of pools, and its streams",
    load: () => import("./durable/lanes/status.js"),
  },
  {
    name: "doctor",
    group: LOOK,
    summary: "check broker, permissions and clocks",
    load: () => import("./doctor/doctor.js"),
  },
  {
    name: "conform",
    group: LOOK,
    summary: "check a worker in any language against the protocol",
    load: () => import("./conform/conform.js"),
  },
  {
    name: "permissions",
    group: LOOK,
    summary: "the least rights of one role on the broker",
    load: () => import("./rights/permissions.js"),
  },
  {
    name: "token",
    group: ACCESS,
    summary: "make, list and revoke tokens of callers",
    load: () => import("./access/token.js"),
  },
];
