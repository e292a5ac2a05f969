/**
 * Whether this connection may publish and subscribe what the mesh needs.
 *
 * Publishes under a pool name that breaks the name rule: permissions match it,
 * while managers, workers and meters drop it without making an entry.
 */
import type { Bus } from "../../mesh/link/bus.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import type { Finding } from "./finding.js";

/** Matches `*` in a permission and is no name of ours. */
const NOBODY = "-doctor";

/** What one part of a mesh does, and on which subjects. */
interface Need {
  readonly role: Role;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** What an account may be for. */
export const ROLES = ["client", "worker", "manager", "meter"] as const;
export type Role = (typeof ROLES)[number];

/** What one role is refused. */
export interface Refusal {
  readonly role: Role;
  readonly subjects: readonly string[];
}

/**
 * Tries everything and names what is refused.
 *
 * @param role what this account is for; undefined: any one of them is enough
 */
export async function permissionFindings(bus: Bus, subjects: Subjects, role?: Role): Promise<Finding[]> {
  const refusals: Refusal[] = [];
  for (const need of needs(subjects, bus.inboxPrefix)) {
    refusals.push({ role: need.role, subjects: await tryNeed(bus, need) });
  }
  return judge(refusals, role);
}

/** Pure. A role that is refused something is bad when it is the one that is wanted, or when no role is left. */
export function judge(refusals: readonly Refusal[], wanted?: Role): Finding[] {
  const isAny = refusals.some(({ subjects }) => subjects.length === 0);
  return refusals.map(({ role, subjects }) => {
    const what = `as a ${role}`;
    if (subjects.length === 0) return { state: "ok", what, found: "all subjects are allowed" };
    const isBad = wanted === undefined ? !isAny : wanted === role;
    const found = `refused: ${subjects.join(", ")}`;
    const advice = `allow ${subjects.length === 1 ? "it" : "them"} in the broker's permissions, if this account is to be a ${role}`;
    return { state: isBad ? "bad" : "note", what, found, advice };
  });
}

async function tryNeed(bus: Bus, { publish, subscribe }: Need): Promise<string[]> {
  const errors: string[] = [];
  const off = bus.on("error", (detail) => errors.push(detail));
  const subscriptions = subscribe.map((subject) => bus.subscribe(subject, () => undefined));
  for (const subject of publish) bus.publish(concrete(subject));
  await bus.flush();
  for (const subscription of subscriptions) if (!subscription.isClosed) subscription.unsubscribe();
  await bus.flush();
  off();
  const refused = [
    ...publish.filter((subject) => errors.some((each) => isAbout(each, "publish", concrete(subject)))),
    ...subscribe.filter((subject) => errors.some((each) => isAbout(each, "subscription", subject))),
  ];
  return [...new Set(refused)].map((subject) => subject.replaceAll(NOBODY, "W"));
}

function needs({ every, prefix }: Subjects, inboxPrefix: string): Need[] {
  const job = `${prefix}.*.job`;
  const control = `${prefix}.*.control`;
  const inbox = `${inboxPrefix}.${NOBODY}.*`;
  const services = "$SRV.PING";
  return [
    { role: "client", publish: [every.submit(), every.cancel()], subscribe: [inbox] },
    {
      role: "worker",
      publish: [every.heartbeat(), inbox],
      subscribe: [job, `${job}.${NOBODY}`, every.cancel(), control, `${control}.${NOBODY}`, services],
    },
    {
      role: "manager",
      publish: [job, `${job}.*`, every.cancel(), every.managerHeartbeat(), control, `${control}.*`],
      subscribe: [every.heartbeat(), every.cancel(), inbox, services],
    },
    {
      role: "meter",
      publish: [control, `${control}.*`],
      subscribe: [every.heartbeat(), every.managerHeartbeat(), inbox, services],
    },
  ];
}

function concrete(subject: string): string {
  return subject.replaceAll("*", NOBODY);
}

/** The broker's words: `Permissions Violation for Publish to "a.b"`, `… for Subscription to "a.*"`. */
function isAbout(error: string, operation: "publish" | "subscription", subject: string): boolean {
  return error.toLowerCase().includes(operation) && error.includes(`"${subject}"`);
}
