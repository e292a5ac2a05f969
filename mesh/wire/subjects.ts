/**
 * Every subject of the mesh, built and taken apart in one place, and the rule for
 * the names in it. Pure.
 *
 * nats.js checks neither wildcards nor the names of queue groups: a CR LF in one
 * would reach the broker as protocol. So each name is checked by {@link checkName}
 * before it becomes part of a subject, and nothing else in the project concatenates one.
 */
import { PoolError } from "../errors.js";

/** The queue groups. A bare worker joins "workers" with `nats reply … --queue workers`. */
export const QUEUE_WORKERS = "workers";
export const QUEUE_MANAGERS = "managers";

/** The default first token of every subject. */
export const DEFAULT_PREFIX = "pool";

/** Stands for all pools in the subject of a question. It is no name, so no pool is called so. */
export const ALL_POOLS = "_";

const PREFIX = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9][A-Za-z0-9_-]{0,62}){0,3}$/;

/** The subject where the NATS service API answers for one service, or for all of a name; a sign of life. */
export function servicePing(name: string, id?: string): string {
  return id === undefined ? `$SRV.PING.${name}` : `$SRV.PING.${name}.${id}`;
}

/** The names under which services register with the NATS service API. */
export const SERVICE_NAMES = {
  manager: "poolmesh-manager",
  worker: "poolmesh-worker",
  meter: "poolmesh-meter",
} as const;

/** What the NATS service API asks of a service. */
export const SERVICE_VERBS = ["PING", "INFO", "STATS"] as const;

/** The subjects of one mesh. `pool` may be `*` only in the methods that say so. */
export class Subjects {
  readonly prefix: string;
  readonly #depth: number;

  /**
   * @param prefix one to four dot-separated names; default "pool".
   * @throws PoolError `invalid_argument`
   */
  constructor(prefix: string = DEFAULT_PREFIX) {
    if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
      throw new PoolError("invalid_argument", 'prefix: use one to four names joined by "."', { field: "prefix" });
    }
    this.prefix = prefix;
    this.#depth = prefix.split(".").length;
  }

  /** Offers to the queue group "workers". */
  job(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.job`;
  }

  /** Hand-offs to one worker. */
  jobFor(pool: string, worker: string): string {
    return `${this.job(pool)}.${checkName("worker", worker)}`;
  }

  /** Jobs for a manager to park and run, queue group "managers". */
  submit(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.submit`;
  }

  /** Several jobs in one message, for a manager to park and run, queue group "managers". */
  submissions(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.submissions`;
  }

  /** To one manager: how a client asks again for a job that this manager took. */
  submitTo(pool: string, manager: string): string {
    return `${this.submit(pool)}.${checkName("manager", manager)}`;
  }

  cancel(pool: string, job: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.cancel.${checkName("job", job)}`;
  }

  heartbeat(pool: string, worker: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.heartbeat.${checkName("worker", worker)}`;
  }

  managerHeartbeat(pool: string, manager: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.manager.${checkName("manager", manager)}`;
  }

  control(pool: string, worker: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.control.${checkName("worker", worker)}`;
  }

  /** To every worker of a pool at once: roll call and pace. */
  controlAll(pool: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.control`;
  }

  /** To all managers of a pool, or of any: questions after the jobs that they have. @param pool undefined for all pools */
  jobs(pool: string | undefined): string {
    return `${this.prefix}.${pool === undefined ? ALL_POOLS : checkName("pool", pool)}.jobs`;
  }

  /** What happens to jobs of a pool. @param event one word, such as "failed" */
  event(pool: string, event: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.event.${event}`;
  }

  /** To whoever supervises one worker: stop it, start it again, and answer when it is READY. */
  restart(pool: string, worker: string): string {
    return `${this.prefix}.${checkName("pool", pool)}.restart.${checkName("worker", worker)}`;
  }

  /** What a reader subscribes to; without a pool it hears all of them. */
  readonly every = {
    heartbeat: (pool?: string): string => `${this.#pool(pool)}.heartbeat.*`,
    managerHeartbeat: (pool?: string): string => `${this.#pool(pool)}.manager.*`,
    submit: (pool?: string): string => `${this.#pool(pool)}.submit`,
    submissions: (pool?: string): string => `${this.#pool(pool)}.submissions`,
    submitTo: (manager: string, pool?: string): string => `${this.#pool(pool)}.submit.${checkName("manager", manager)}`,
    cancel: (pool?: string): string => `${this.#pool(pool)}.cancel.*`,
    controlAll: (pool?: string): string => `${this.#pool(pool)}.control`,
    jobs: (pool?: string): string => `${this.#pool(pool)}.jobs`,
    event: (pool?: string): string => `${this.#pool(pool)}.event.*`,
  };

  /** The pool's name in a subject of this mesh (`prefix.POOL.…`). */
  poolOf(subject: string): string {
    const from = this.prefix.length + 1;
    const to = subject.indexOf(".", from);
    return to === -1 ? subject.slice(from) : subject.slice(from, to);
  }

  /** The tokens after the pool's name: what is said, and to whom if to one. */
  afterPool(subject: string): string[] {
    return subject.split(".").slice(this.#depth + 1);
  }

  /** The last token: worker, job or manager. */
  lastOf(subject: string): string {
    return subject.slice(subject.lastIndexOf(".") + 1);
  }

  #pool(pool: string | undefined): string {
    return pool === undefined ? `${this.prefix}.*` : `${this.prefix}.${checkName("pool", pool)}`;
  }
}

/** The default prefix of the inboxes of NATS clients, and of replies across accounts. */
const INBOX = "_INBOX.";
const ACCOUNT_REPLY = "_R_.";

/**
 * Whether an answer may be sent to `reply`. Only inboxes are answered, so that
 * nobody can make a service write to `$JS.API.…` or beat in another's name.
 *
 * @param inboxPrefix one more prefix to allow, without its dot.
 */
export function isAnswerable(reply: string | undefined, inboxPrefix?: string): reply is string {
  if (!reply) return false;
  if (reply.startsWith(INBOX) || reply.startsWith(ACCOUNT_REPLY)) return true;
  return inboxPrefix !== undefined && reply.startsWith(`${inboxPrefix}.`);
}

/** What kinds of thing bear names. */
export type NameKind =
  | "pool"
  | "worker"
  | "job"
  | "manager"
  | "nonce"
  | "cron"
  | "run"
  | "then"
  | "onComplete"
  | "batch";

/** The longest name, in characters. */
export const MAX_NAME_LENGTH = 63;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** Whether `name` obeys the rule: a letter or digit, then up to 62 letters, digits, `_` or `-`. */
export function isName(name: unknown): name is string {
  return typeof name === "string" && NAME.test(name);
}

/**
 * Returns `name` when it obeys the rule.
 *
 * @throws PoolError `invalid_argument`, with `kind` as its field; the message
 * never repeats the name raw.
 */
export function checkName(kind: NameKind, name: unknown): string {
  if (isName(name)) return name;
  throw new PoolError("invalid_argument", `${kind} name ${describe(name)}: use 1 to 63 letters, digits, "_" or "-"`, {
    field: kind,
  });
}

function describe(name: unknown): string {
  if (typeof name !== "string") return `is ${name === null ? "null" : typeof name}`;
  if (name === "") return "is empty";
  if (name.length > MAX_NAME_LENGTH) return `has ${name.length} characters`;
  return "has a character that is not allowed";
}
