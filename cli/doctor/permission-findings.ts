/**
 * Whether this connection may publish and subscribe what its role needs, and
 * whether it may more than that.
 *
 * What a role needs is in the table of rights (../rights/table.ts).
 */
import type { Bus } from "../../mesh/link/bus.js";
import { SERVICE_NAMES, type Subjects } from "../../mesh/wire/subjects.js";
import { type Attempted, isAllowed } from "../rights/covers.js";
import { type Rights, ROLES, type Role } from "../rights/right.js";
import { NOBODY, rightsOf, rightsOfAny } from "../rights/table.js";
import type { Finding } from "./finding.js";
import { attemptsOf, tryAll } from "./trial.js";

/** What one role is refused. */
export interface Refusal {
  readonly role: Role;
  readonly subjects: readonly string[];
}

/** So many subjects are named in one line. */
const NAMED = 4;
/** Who hears what managers are asked can answer for one that is gone: its jobs' callers then wait for their deadlines. */
const WIDE_SERVICE = [
  ...["$SRV.>", "$SRV.*", "$SRV.*.*", "$SRV.*.*.*", "$SRV.PING.>", "$SRV.PING.*", "$SRV.PING.*.*"],
  ...[`$SRV.PING.${SERVICE_NAMES.manager}.>`, `$SRV.PING.${SERVICE_NAMES.manager}.*`],
];

/**
 * Tries what each role needs in all pools, and names what is refused.
 *
 * @param role what this account is for; undefined: any one of them is enough
 */
export async function permissionFindings(bus: Bus, subjects: Subjects, role?: Role): Promise<Finding[]> {
  const refusals: Refusal[] = [];
  for (const each of ROLES) {
    const inbox = each === "worker" ? [] : [{ operation: "subscribe" as const, subject: `${bus.inboxRoot}.>` }];
    const { refused } = await tryAll(bus, [...attemptsOf(rightsOfAny(each, subjects.prefix)), ...inbox]);
    refusals.push({ role: each, subjects: refused.map(({ subject }) => subject.replaceAll(NOBODY, "*")) });
  }
  return judge(refusals, role);
}

/** Tries what one holder needs, and what only others need, and names what is refused and what should be. */
export async function holderFindings(bus: Bus, rights: Rights): Promise<Finding[]> {
  const what = `as ${rights.holder.role} ${rights.holder.name}`;
  const { refused, untried } = await tryAll(bus, attemptsOf(rights));
  const excess = excessOf(rights);
  const wider = await tryAll(bus, excess);
  const allowed = excess.filter((each) => !wider.refused.includes(each) && !wider.untried.includes(each));
  return [
    ...inboxFinding(bus, rights),
    ...(refused.length === 0
      ? [{ state: "ok" as const, what, found: "all that it needs is allowed" }]
      : [{ state: "bad" as const, what, found: refusalText(refused, rights), advice: adviceFor(rights) }]),
    ...(untried.length === 0
      ? []
      : [{ state: "note" as const, what, found: `not tried, since somebody would act on it: ${list(untried)}` }]),
    ...(allowed.length === 0
      ? [{ state: "ok" as const, what, found: "nothing more is allowed" }]
      : [{ state: "note" as const, what, found: `more is allowed: ${list(allowed)}`, advice: adviceFor(rights) }]),
  ];
}

/** Pure. A role that is refused something is bad when it is the one that is wanted, or when no role is left. */
export function judge(refusals: readonly Refusal[], wanted?: Role): Finding[] {
  const isAny = refusals.some(({ subjects }) => subjects.length === 0);
  return refusals.map(({ role, subjects }) => {
    const what = `as ${role === "operator" ? "an" : "a"} ${role}`;
    if (subjects.length === 0) return { state: "ok", what, found: "all subjects are allowed" };
    const isBad = wanted === undefined ? !isAny : wanted === role;
    const found = `refused: ${subjects.join(", ")}`;
    const advice = `for all pools allow ${subjects.length === 1 ? "it" : "them"}; for one say --as ${role} --pool NAME --name NAME`;
    return { state: isBad ? "bad" : "note", what, found, advice };
  });
}

/** What only other roles, pools and names need, and what is wider than all of that. */
export function excessOf(rights: Rights): Attempted[] {
  const { role, name, pools, prefix = "pool" } = rights.holder;
  const found = new Map<string, Attempted>();
  for (const other of ROLES) {
    for (const pool of [...(pools ?? []), "other-pool"]) {
      for (const each of [name, "other-name"]) {
        const sets = rightsOf({ role: other, pools: [pool], name: each, prefix });
        for (const { operation, subject } of attemptsOf(sets))
          found.set(`${operation} ${subject}`, { operation, subject });
      }
    }
  }
  const isOwn = (attempt: Attempted): boolean => isAllowed(rights, attempt);
  const wide = [">", `${prefix}.>`, "_INBOX.>", `${prefix}.*.job`, ...(role === "client" ? ["_INBOX.client.>"] : [])];
  const subscriptions = [...wide, ...WIDE_SERVICE].map((subject) => ({ operation: "subscribe" as const, subject }));
  return [...subscriptions, ...found.values()].filter((attempt) => !isOwn(attempt) && isSafe(attempt));
}

/** What others would act on, because it bears a name that may be theirs, is not tried for its own sake. */
function isSafe({ operation, subject }: Attempted): boolean {
  return operation === "subscribe" || !subject.startsWith("$") || subject.startsWith("$SRV.");
}

/** What is refused; and whether it looks as if the credential were that of another holder, or of another pool. */
function refusalText(
  refused: readonly Attempted[],
  { holder: { name, pools = [] }, publish, subscribe }: Rights,
): string {
  const text = `refused: ${list(refused)}`;
  if (refused.length === publish.length + subscribe.length) return text;
  const allBear = (token: string): boolean => refused.every(({ subject }) => subject.split(".").includes(token));
  if (allBear(name)) return `${text}. Only what bears the name ${name} is refused: the credential is for another name`;
  const pool = pools.find(allBear);
  return pool === undefined
    ? text
    : `${text}. Only what is of pool ${pool} is refused: the credential is for another pool`;
}

function inboxFinding(bus: Bus, { inboxPrefix }: Rights): Finding[] {
  if (inboxPrefix === undefined || bus.inboxPrefix === inboxPrefix) return [];
  const found = `replies come to ${bus.inboxPrefix}, and its rights are for ${inboxPrefix}`;
  return [{ state: "bad", what: "inbox prefix", found, advice: `start it with --inbox-prefix ${inboxPrefix}` }];
}

function adviceFor({ holder: { role, name, pools, durable, large } }: Rights): string {
  const pool = pools === undefined ? "" : pools.map((each) => ` --pool ${each}`).join("");
  return `poolmesh permissions --role ${role}${pool} --name ${name}${durable ? " --durable" : ""}${large ? " --large-payloads" : ""} prints what it needs`;
}

function list(attempts: readonly Attempted[]): string {
  const words = attempts.map(({ operation, subject }) => `${operation} ${subject.replaceAll(NOBODY, "*")}`);
  const more = words.length > NAMED ? `, and ${words.length - NAMED} more` : "";
  return words.slice(0, NAMED).join(", ") + more;
}
