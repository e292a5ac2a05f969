/**
 * What each role of a mesh needs on the broker, and nothing more. Pure.
 *
 * The one table of rights: `poolmesh permissions`, `poolmesh doctor --as`,
 * docs/permissions.md and the tests are made from it.
 *
 * Every holder has an inbox prefix of its own, `_INBOX.ROLE.NAME`, so nobody
 * hears what was meant for another. A worker has none: it asks nothing, but the object store. It may
 * publish to the inboxes of all managers. There a reply subject ends with a
 * secret that only the worker knows which was asked (mesh/link/reply-router.ts).
 * Whoever else asks a worker, such as a meter, is answered by the broker's
 * `allow_responses`, once a question.
 */
import { PoolError } from "../../mesh/errors.js";
import {
  checkName,
  DEFAULT_PREFIX,
  isName,
  QUEUE_MANAGERS,
  QUEUE_WORKERS,
  SERVICE_NAMES,
  SERVICE_VERBS,
  Subjects,
} from "../../mesh/wire/subjects.js";
import { durableRights } from "./durable.js";
import { largeRights } from "./large.js";
import type { Holder, Responses, Right, RightSet, Rights, Role } from "./right.js";

/** Matches a `*` in a permission and is no name of a pool, worker or manager: nobody acts on it. */
export const NOBODY = "-nobody";
/** Pings and the like, and the answers to cancels, come at once; a drain that waits takes ten minutes at most. */
const ANSWERS_AT_ONCE: Responses = { max: 1, withinMs: 10_000 };
const ANSWERS_AFTER_DRAIN: Responses = { max: 1, withinMs: 660_000 };

/**
 * The rights of one holder.
 *
 * @throws PoolError `invalid_argument` for a name that is none, a worker without its one pool, a client without a pool
 */
export function rightsOf(holder: Holder): Rights {
  const { role, name, pools, prefix = DEFAULT_PREFIX } = holder;
  if (!isName(name)) throw refused("name", 'use 1 to 63 letters, digits, "_" or "-"');
  const subjects = new Subjects(prefix);
  for (const pool of pools ?? []) checkName("pool", pool);
  requirePools(holder);
  const roots = (pools ?? ["*"]).map((pool) => `${subjects.prefix}.${pool}`);
  const base = SETS[role](roots, name);
  const added = holder.durable ? durableRights(role, roots, name, subjects.prefix, pools) : undefined;
  const large = holder.large ? largeRights(role, subjects.prefix, holder.durable === true) : undefined;
  const rights = {
    publish: [...base.publish, ...(added?.publish ?? []), ...(large?.publish ?? [])],
    subscribe: [...base.subscribe, ...(added?.subscribe ?? [])],
    responses: base.responses,
  };
  const inboxPrefix = role === "worker" && !holder.large ? undefined : inboxOf(role, name);
  const inbox = inboxPrefix === undefined ? [] : [right(`${inboxPrefix}.>`, "answers to its own questions")];
  return { holder, inboxPrefix, ...rights, subscribe: [...rights.subscribe, ...inbox] };
}

/**
 * The rights of a role whatever its name and pools: of "-nobody" in all pools. Its
 * inbox is not among them.
 */
export function rightsOfAny(role: Role, prefix: string): RightSet {
  return SETS[role]([`${prefix}.*`], NOBODY);
}

/** @param roots the first tokens of the subjects of each pool, such as "pool.adder" */
const SETS: Readonly<Record<Role, (roots: readonly string[], name: string) => RightSet>> = {
  client: (roots) => ({
    publish: roots
      .flatMap((root) => [
        right(`${root}.submit`, "jobs, to any manager"),
        right(`${root}.submissions`, "several jobs at once, to any manager"),
        right(
          `${root}.submit.*`,
          "a job, to a manager that is awake; a question after a job, to the one that has it; its clock, to one that asks",
        ),
        right(`${root}.cancel.*`, "cancels"),
      ])
      .concat(
        right(`$SRV.PING.${SERVICE_NAMES.manager}.*`, "whether the manager of its jobs is there"),
        right(`$SRV.PING.${SERVICE_NAMES.manager}`, "which managers are awake, when one says nothing"),
      ),
    subscribe: [],
    responses: undefined,
  }),
  worker: (roots, worker) => ({
    publish: roots
      .map((root) => right(`${root}.heartbeat.${worker}`, "its own heartbeats"))
      .concat(right(`${inboxOf("manager")}.>`, "what becomes of its jobs, to the managers that sent them")),
    subscribe: roots
      .flatMap((root) => [
        right(`${root}.job`, "offers: each goes to one member of the group", QUEUE_WORKERS),
        right(`${root}.job.${worker}`, "jobs that are assigned to it"),
        right(`${root}.cancel.*`, "cancels and revocations"),
        right(`${root}.control`, "questions to all workers"),
        right(`${root}.control.${worker}`, "questions to it, such as drain"),
      ])
      .concat(service(SERVICE_NAMES.worker, worker)),
    responses: ANSWERS_AFTER_DRAIN,
  }),
  manager: (roots, manager) => ({
    publish: roots
      .flatMap((root) => [
        right(`${root}.job`, "offers"),
        right(`${root}.job.*`, "assignments"),
        right(`${root}.cancel.*`, "revocations and cancels"),
        right(`${root}.control`, "questions to all workers"),
        right(`${root}.control.*`, "questions to one worker"),
        right(`${root}.manager.${manager}`, "its own heartbeats"),
        right(`${root}.submit.*`, "submissions, to the manager that owns their id"),
        right(`${root}.jobs`, "who is there when it joins; after jobs of other managers, for callers over HTTP"),
        right(`${root}.event.*`, "what happens to its jobs, while somebody asks for it"),
      ])
      .concat(
        right(`${inboxOf("client")}.>`, "outcomes, to the clients that submitted"),
        right(`${inboxOf("manager")}.>`, "outcomes, to the managers that passed a submission on"),
        right("$JS.API.STREAM.NAMES", "whether a stream captures its subjects"),
      ),
    subscribe: roots
      .flatMap((root) => [
        right(`${root}.submit`, "jobs: each goes to one member of the group", QUEUE_MANAGERS),
        right(`${root}.submissions`, "bundles of jobs: each goes to one member of the group", QUEUE_MANAGERS),
        right(`${root}.submit.${manager}`, "submissions whose id it owns, and questions after jobs that it has"),
        ...heartbeats(root),
        right(`${root}.cancel.*`, "cancels"),
        right(`${root}.jobs`, "questions after its jobs, and managers that join"),
        right(`${root}.event.*`, "what happens to jobs, for callers over HTTP"),
      ])
      .concat(
        roots.some(isAll)
          ? []
          : right(new Subjects(prefixOf(roots)).jobs(undefined), "questions after the jobs of all pools"),
      )
      .concat(service(SERVICE_NAMES.manager, manager)),
    responses: ANSWERS_AT_ONCE,
  }),
  meter: (roots, meter) => ({
    publish: roots.flatMap((root) => [
      right(`${root}.control`, "roll calls"),
      right(`${root}.control.*`, "whether a silent worker is there, and what callers with the control token ask"),
      right(`${root}.jobs`, "after jobs of managers, for the page"),
    ]),
    subscribe: roots.flatMap(heartbeats).concat(service(SERVICE_NAMES.meter, meter)),
    responses: ANSWERS_AT_ONCE,
  }),
  operator: (roots) => ({
    publish: roots
      .flatMap((root) => [
        right(`${root}.control`, "roll calls"),
        right(`${root}.control.*`, "drain, pause, resume, resize"),
        right(`${root}.restart.*`, "restart"),
        right(`${root}.cancel.*`, "cancels"),
        right(`${root}.jobs`, "after the jobs that managers have"),
      ])
      .concat(
        right("$SRV.PING", "who is there"),
        right("$JS.API.STREAM.NAMES", "whether a stream captures subjects"),
        right("$SYS.REQ.USER.INFO", "the broker's clock"),
      ),
    subscribe: roots.flatMap((root) => [...heartbeats(root), right(`${root}.event.*`, "what happens to jobs")]),
    responses: undefined,
  }),
};

/** Whether a root stands for all pools: `pool.*.jobs` covers what is asked of all of them, too. */
function isAll(root: string): boolean {
  return root.endsWith(".*");
}

function prefixOf([root = ""]: readonly string[]): string {
  return root.slice(0, root.lastIndexOf("."));
}

/** Where replies to a holder go; of all holders of a role without a name. */
function inboxOf(role: Role, name?: string): string {
  return name === undefined ? `_INBOX.${role}` : `_INBOX.${role}.${name}`;
}

function heartbeats(root: string): Right[] {
  return [right(`${root}.heartbeat.*`, "workers' heartbeats"), right(`${root}.manager.*`, "managers' heartbeats")];
}

/**
 * What the NATS service API asks of one instance. Each subject is named: nats-server 2.9 lets
 * who may subscribe to `$SRV.*` also subscribe to `$SRV.>`, and so hear what others are asked.
 */
function service(name: string, id: string): Right[] {
  return SERVICE_VERBS.flatMap((verb) =>
    [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${id}`].map((subject) =>
      right(subject, "NATS service API: `nats micro ls`"),
    ),
  );
}

function right(subject: string, why: string, queue?: string): Right {
  return { subject, why, ...(queue === undefined ? {} : { queue }) };
}

function requirePools({ role, pools }: Holder): void {
  if (pools !== undefined && pools.length === 0) throw refused("pool", "name at least one");
  if (role === "worker" && pools?.length !== 1) throw refused("pool", "a worker has one: say --pool NAME");
  if (role === "client" && pools === undefined) {
    throw refused("pool", "say to which a client may submit: --pool NAME");
  }
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
