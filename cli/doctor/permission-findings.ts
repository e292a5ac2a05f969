/**
 * Whether this connection may publish and subscribe what the mesh needs.
 *
 * Publishes under a pool name that breaks the name rule: permissions match it,
 * while managers, workers and meters drop it without making an entry.
 */
import type { Bus } from "../../mesh/bus.js";
import type { Subjects } from "../../mesh/subjects.js";
import type { Finding } from "./finding.js";

/** Matches `*` in a permission and is no name of ours. */
const NOBODY = "-doctor";

/** What one part of a mesh does, and on which subjects. */
interface Need {
  readonly what: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** Tries everything and names what is refused. */
export async function permissionFindings(bus: Bus, subjects: Subjects): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const need of needs(subjects, bus.inboxPrefix)) findings.push(await tryNeed(bus, need));
  return findings;
}

async function tryNeed(bus: Bus, { what, publish, subscribe }: Need): Promise<Finding> {
  const errors: string[] = [];
  const off = bus.on("error", (detail) => errors.push(detail));
  const subscriptions = subscribe.map((subject) => bus.subscribe(subject, () => undefined));
  for (const subject of publish) bus.publish(concrete(subject));
  await bus.flush();
  for (const subscription of subscriptions) if (!subscription.isClosed()) subscription.unsubscribe();
  await bus.flush();
  off();
  const refused = [
    ...publish.filter((subject) => errors.some((each) => isAbout(each, "publish", concrete(subject)))),
    ...subscribe.filter((subject) => errors.some((each) => isAbout(each, "subscription", subject))),
  ];
  if (refused.length === 0) return { state: "ok", what, found: "all subjects are allowed" };
  const found = `refused: ${[...new Set(refused)].join(", ")}`;
  return { state: "bad", what, found, advice: "allow them in the broker's permissions, if this account is to be one" };
}

function needs({ every, prefix }: Subjects, inboxPrefix: string): Need[] {
  const job = `${prefix}.*.job`;
  const control = `${prefix}.*.control`;
  const inbox = `${inboxPrefix}.${NOBODY}.*`;
  const services = "$SRV.PING";
  return [
    { what: "as a client", publish: [every.submit(), every.cancel()], subscribe: [inbox] },
    {
      what: "as a worker",
      publish: [every.heartbeat(), inbox],
      subscribe: [job, `${job}.${NOBODY}`, every.cancel(), control, `${control}.${NOBODY}`, services],
    },
    {
      what: "as a manager",
      publish: [job, `${job}.*`, every.cancel(), every.managerHeartbeat(), control, `${control}.*`],
      subscribe: [every.heartbeat(), every.cancel(), inbox, services],
    },
    {
      what: "as a meter",
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
