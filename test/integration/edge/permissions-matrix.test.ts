/** A real broker allows each role what the table of rights says, and refuses all else: users, nkeys and JWT. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, PermissionViolationError } from "nats";
import { type Attempted, isAllowed } from "../../../cli/rights/covers.js";
import { type Rights, ROLES, type Role } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { KINDS, type RightsBroker, serversOfTests, startRightsBroker } from "../../support/doors/rights-broker.js";

/** Those to whom the durable lane gives more. */
const DURABLE_ROLES = ["client", "manager", "operator"] as const satisfies readonly Role[];

/** One holder of each role, of pool "a", and a manager of all pools; the same with the durable lane. */
const HOLDERS: readonly Rights[] = [
  ...ROLES.map((role) => rightsOf({ role, pools: ["a"], name: "own" })),
  rightsOf({ role: "manager", name: "every" }),
  ...DURABLE_ROLES.map((role) => rightsOf({ role, pools: ["a"], name: "lasting", durable: true })),
  rightsOf({ role: "manager", name: "every-lasting", durable: true }),
];
/** What nobody may subscribe to. */
const WIDE = [
  ...[">", "pool.>", "_INBOX.>", "_INBOX.*.>", "pool.*.job", "pool.a.job", "pool.a.job.*", "pool.a.control.*"],
  ...["$SRV", "$SRV.>", "$SRV.*", "$SRV.*.*", "$SRV.*.*.*", "$SRV.*.>", "$SRV.OTHER"],
  ...["PING", "INFO", "STATS"].flatMap((verb) => [`$SRV.${verb}.>`, `$SRV.${verb}.*`, `$SRV.${verb}.*.*`]),
  ...["manager", "worker", "meter"].flatMap((part) => [
    ...[`$SRV.*.poolmesh-${part}`, `$SRV.*.poolmesh-${part}.own`, `$SRV.PING.poolmesh-${part}.>`],
    ...[`$SRV.PING.poolmesh-${part}.*`, `$SRV.PING.poolmesh-${part}.gone`, `$SRV.PING.*.own`],
  ]),
];
/** The oldest and the newest nats-server: they judge a subscription with wildcards by different rules. */
const SERVERS = await serversOfTests();

for (const { version, binary } of SERVERS) {
  test(`permissions - each role may publish and subscribe what the table says and nothing else (nats-server ${version})`, (t) =>
    tryTheTable(t, binary));
}

test("permissions - the oldest nats-server refuses a worker all that managers are asked, by name and by wildcard", async (t) => {
  const mesh = await startRightsBroker(t, "users", HOLDERS, SERVERS.at(-1)?.binary);
  const rights = HOLDERS.find(({ holder }) => holder.role === "worker") ?? assert.fail();
  const holes = ["$SRV.>", "$SRV.PING.>", "$SRV.PING.poolmesh-manager.>", "$SRV.PING.poolmesh-manager", "$SRV.*"];
  const attempts = holes.map((subject) => fromWords(`subscribe ${subject}`));
  assert.deepEqual((await refusedOf(t, mesh, rights, attempts)).sort(), attempts.map(inWords).sort());
});

async function tryTheTable(t: Owner, binary: string): Promise<void> {
  const attempts = everyAttempt();
  assert.ok(attempts.length > 100, String(attempts.length));
  for (const kind of KINDS) {
    const mesh = await startRightsBroker(t, kind, HOLDERS, binary);
    for (const rights of HOLDERS) {
      const refused = await refusedOf(t, mesh, rights, attempts);
      const expected = attempts.filter((each) => !isAllowed(rights, each)).map(inWords);
      assert.deepEqual(refused.sort(), expected.sort(), `${kind}, ${rights.holder.role} ${rights.holder.name}`);
      assert.ok(expected.length > 50 && expected.length < attempts.length);
    }
  }
}

/** A broker of each version for each kind of users. */
async function brokersOf(t: Owner): Promise<{ kind: string; mesh: RightsBroker }[]> {
  const each = KINDS.flatMap((kind) => SERVERS.map(({ version, binary }) => ({ kind, version, binary })));
  return Promise.all(
    each.map(async ({ kind, version, binary }) => ({
      kind: `${kind}, nats-server ${version}`,
      mesh: await startRightsBroker(t, kind, HOLDERS, binary),
    })),
  );
}

/** What the rights are for, in the words of a person, and not made from the table. */
const MUST_BE_REFUSED: Readonly<Record<Role, readonly string[]>> = {
  client: [
    ...[
      "subscribe _INBOX.client.other.>",
      "subscribe _INBOX.client.>",
      "subscribe pool.a.job",
      "publish pool.b.submit",
    ],
    ...[
      "publish pool.a.heartbeat.w",
      "publish pool.a.control.w",
      "publish pool.a.job",
      "publish _INBOX.client.other.x",
    ],
  ],
  worker: [
    ...["subscribe pool.b.job workers", "subscribe pool.a.job", "subscribe pool.a.job.other", "subscribe pool.a.job.*"],
    ...["subscribe pool.a.control.other", "subscribe pool.a.heartbeat.*", "subscribe _INBOX.manager.every.>"],
    ...["publish pool.a.heartbeat.other", "publish pool.a.submit", "publish pool.a.job", "publish pool.a.cancel.x"],
    ...["publish _INBOX.client.own.x.1.token", "publish pool.a.control.other", "publish $JS.API.STREAM.DELETE.x"],
    ...["subscribe $SRV.PING.poolmesh-manager.every", "subscribe pool.a.job thieves"],
    ...["subscribe pool.a.job *", "subscribe pool.a.job >", "subscribe pool.a.* workers", "subscribe pool.a.> workers"],
    ...["subscribe pool.> workers", "subscribe > workers", "subscribe pool.*.job workers", "subscribe $SRV.> workers"],
  ],
  manager: [
    ...[
      "subscribe pool.b.submit managers",
      "subscribe pool.a.submit",
      "publish pool.b.job",
      "subscribe pool.b.heartbeat.*",
    ],
    ...["subscribe _INBOX.manager.other.>", "publish pool.a.heartbeat.w", "publish pool.a.manager.other"],
  ],
  meter: ["publish pool.a.job", "publish pool.a.cancel.x", "publish pool.a.submit", "subscribe pool.b.heartbeat.*"],
  operator: ["publish pool.a.job", "publish pool.a.submit", "publish pool.a.heartbeat.w", "publish pool.b.control.w"],
};

test("permissions - no role reads other pools, other workers' jobs or the answers of others", async (t) => {
  for (const { kind, mesh } of await brokersOf(t)) {
    for (const role of ROLES) {
      const rights = HOLDERS.find(({ holder }) => holder.role === role) ?? assert.fail();
      const attempts = MUST_BE_REFUSED[role].map(fromWords);
      const refused = await refusedOf(t, mesh, rights, attempts);
      assert.deepEqual(refused.sort(), [...MUST_BE_REFUSED[role]].sort(), `${kind}, ${role}`);
    }
  }
});

/** The same for those who take part in the durable lane. */
const MUST_BE_REFUSED_DURABLE: Readonly<Record<(typeof DURABLE_ROLES)[number], readonly string[]>> = {
  client: [
    ...[
      "publish pool.b.enqueue",
      "publish pool.b.durable.normal.x",
      "subscribe pool.b.ended.*",
      "publish pool.a.dead.x",
    ],
    ...["publish pool.a.outcome.x", "publish $JS.API.STREAM.MSG.GET.pool-jobs-b", "publish $JS.ACK.pool-jobs-a.x"],
    ...["publish $JS.API.STREAM.DELETE.pool-jobs-a", "publish $JS.API.STREAM.PURGE.pool-dead", "publish $JS.API.INFO"],
    ...[
      "publish $JS.API.DIRECT.GET.orders",
      "publish $JS.API.STREAM.MSG.GET.orders",
      "subscribe pool.a.durable.normal.x",
    ],
  ],
  manager: [
    ...["publish pool.b.outcome.x", "publish pool.a.held.other", "subscribe pool.b.enqueue managers"],
    ...["subscribe pool.a.enqueue", "subscribe pool.a.lookup.other", "publish $JS.ACK.pool-jobs-b.x"],
    ...["publish $JS.API.STREAM.MSG.DELETE.orders", "publish $JS.API.STREAM.DELETE.pool-jobs-a"],
    ...["publish $JS.API.CONSUMER.MSG.NEXT.pool-jobs-b.normal", "publish $JS.API.STREAM.CREATE.orders"],
    ...["publish $JS.API.STREAM.PURGE.pool-dead", "publish $JS.API.STREAM.PURGE.orders"],
  ],
  operator: [
    ...["publish pool.b.enqueue", "publish $JS.API.STREAM.PURGE.pool-jobs-a", "publish $JS.API.STREAM.PURGE.orders"],
    ...["publish $JS.API.STREAM.MSG.DELETE.pool-outcomes", "publish $JS.ACK.pool-jobs-a.x"],
  ],
};

test("permissions - the durable lane gives nobody other pools' jobs, other streams of the account, or a stream's end", async (t) => {
  for (const { kind, mesh } of await brokersOf(t)) {
    for (const role of DURABLE_ROLES) {
      const isIt = ({ holder }: Rights): boolean => holder.role === role && holder.name === "lasting";
      const rights = HOLDERS.find(isIt) ?? assert.fail();
      const refused = await refusedOf(t, mesh, rights, MUST_BE_REFUSED_DURABLE[role].map(fromWords));
      assert.deepEqual(refused.sort(), [...MUST_BE_REFUSED_DURABLE[role]].sort(), `${kind}, ${role}`);
    }
  }
});

/** All that any role may do in this pool or another one, under this name or another one, and what is wider than that. */
function everyAttempt(): Attempted[] {
  const attempts = new Map<string, Attempted>();
  const add = (attempt: Attempted): unknown => attempts.set(inWords(attempt), attempt);
  for (const role of ROLES) {
    for (const pool of ["a", "b"]) {
      for (const name of ["own", "other"]) {
        const { publish, subscribe } = rightsOf({ role, pools: [pool], name, durable: true });
        for (const { subject } of publish) add({ operation: "publish", subject: concrete(subject) });
        for (const { subject, queue } of subscribe) {
          add({ operation: "subscribe", subject });
          add({ operation: "subscribe", subject: concrete(subject) });
          if (queue !== undefined) add({ operation: "subscribe", subject, queue });
        }
      }
    }
  }
  for (const subject of WIDE) add({ operation: "subscribe", subject });
  return [...attempts.values()];
}

/** Tries everything on one connection, and says what the broker refused. */
async function refusedOf(
  t: Owner,
  mesh: RightsBroker,
  rights: Rights,
  attempts: readonly Attempted[],
): Promise<string[]> {
  const nc = await connect({ servers: mesh.broker.url, authenticator: mesh.authenticator(rights) });
  cleanUp(t, () => nc.close());
  const refused: string[] = [];
  const reading = (async () => {
    for await (const status of nc.status()) {
      if (status.type !== "error" || !(status.error instanceof PermissionViolationError)) continue;
      const { operation, subject, queue } = status.error;
      refused.push(
        inWords({ operation: operation === "publish" ? "publish" : "subscribe", subject, queue: queue ?? "" }),
      );
    }
  })();
  for (const { operation, subject, queue } of attempts) {
    if (operation === "publish") nc.publish(subject);
    else nc.subscribe(subject, { callback: () => undefined, ...(queue === undefined ? {} : { queue }) });
  }
  await nc.flush();
  await nc.close();
  await reading;
  return refused;
}

function inWords({ operation, subject, queue = "" }: Attempted): string {
  return `${operation} ${subject} ${queue}`.trim();
}

function fromWords(text: string): Attempted {
  const [operation, subject = "", queue] = text.split(" ");
  if (operation !== "publish" && operation !== "subscribe") assert.fail(text);
  return { operation, subject, ...(queue === undefined ? {} : { queue }) };
}

function concrete(subject: string): string {
  return subject.replaceAll("*", "some").replace(">", "some.1.token");
}
