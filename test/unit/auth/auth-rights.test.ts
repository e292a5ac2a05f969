/** The table of rights has a line for everything that is served, and for nothing else. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import { Gate } from "../../../mesh/auth/gate.js";
import { grantOf, ROLES } from "../../../mesh/auth/policy/roles.js";
import { poolOf, type RightLine, ROUTE_RIGHTS, RPC_RIGHTS, routeOf } from "../../../mesh/auth/rights.js";
import { Rpcs } from "../../../mesh/http/rpc/rpc.js";
import { packageRoot } from "../../../mesh/process/identity.js";
import { silentLog } from "../../../mesh/process/log.js";
import { rightsTable, rightsTableIn, SECURITY_DOC } from "../../../scripts/rights-table.js";

/** Every service that any of our .proto files declares. */
async function allServices(): Promise<DescService[]> {
  const folder = join(packageRoot(), "gen");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith("_pb.ts"));
  const modules = await Promise.all(
    files.map((file) => import(join(folder, file)) as Promise<Record<string, unknown>>),
  );
  return modules.flatMap((each) => Object.values(each)).filter(isService);
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && (value as { kind?: unknown }).kind === "service";
}

const services = await allServices();
const methods = services.flatMap((service) =>
  service.methods.map((method) => ({ path: `/${service.typeName}/${method.name}`, method })),
);

test("every RPC of every service has a line in the table of rights, and no line is left over", () => {
  assert.ok(services.length >= 8, String(services.length));
  assert.deepEqual(Object.keys(RPC_RIGHTS).sort(), methods.map(({ path }) => path).sort());
});

test("docs/security.md has the table as it is", () => {
  const shown = rightsTableIn(readFileSync(SECURITY_DOC, "utf8"));
  assert.equal(shown, rightsTable(), "run: node --import tsx scripts/rights-table.ts --write");
});

test("only health needs no right", () => {
  const open = Object.entries(RPC_RIGHTS).filter(([, { right }]) => right === "open");
  assert.deepEqual(
    open.map(([path]) => path),
    ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"],
  );
});

test("the field that names a pool is there in the request of each RPC", () => {
  for (const { path, method } of methods) {
    const { pool } = RPC_RIGHTS[path] as RightLine;
    if (["all", "any", "header"].includes(pool)) continue;
    assert.ok(hasField(method.input, pool.split(".")), `${path} has ${pool}`);
  }
});

test("every RPC that names a pool in its request is checked by that pool", () => {
  for (const { path, method } of methods) {
    const { pool, right } = RPC_RIGHTS[path] as RightLine;
    if (right === "open" || pool !== "any") continue;
    assert.ok(!method.input.fields.some(({ name }) => /pool|selector|job/.test(name)), path);
  }
});

test("every RPC whose answer can name a job says what of others is left out of it, or is for who sees all jobs", () => {
  for (const { path, method } of methods) {
    const { right, ofOthers } = RPC_RIGHTS[path] as RightLine;
    // Who submits hears of the job that it has just submitted.
    if (right === "open" || right === "submit" || right === "control" || !namesJobs(method.output)) continue;
    assert.equal(ofOthers, "jobs", path);
  }
  for (const role of ROLES) {
    const { rights } = grantOf(role, ["*"]);
    if (rights.includes("control")) assert.ok(rights.includes("jobs"), role);
  }
});

test("a server with an RPC that has no line does not start", () => {
  const handler = { requestPath: "/poolmesh.v1.New/Rpc" };
  const router = { ...createConnectRouter(), handlers: [handler] } as unknown as ReturnType<typeof createConnectRouter>;
  assert.throws(() => new Rpcs(router, new Gate({}, silentLog), 1, silentLog), /no line for \/poolmesh\.v1\.New\/Rpc/);
});

test("a path is the route that the table names, or the page", () => {
  for (const route of Object.keys(ROUTE_RIGHTS)) assert.equal(routeOf(route), route);
  for (const path of ["/", "/page", "/metrics/", "//metrics", "/constructor", "__proto__", "", "page"]) {
    assert.equal(routeOf(path), "page", path);
  }
});

test("a pool is found where the table says, and what is not there means all pools", () => {
  const line = (pool: RightLine["pool"]): RightLine => ({ right: "view", pool });
  const none = (): null => null;
  assert.equal(poolOf(line("pool"), { pool: "a" }, none), "a");
  assert.equal(poolOf(line("selector.pool"), { selector: { pool: "a" } }, none), "a");
  assert.equal(
    poolOf(line("header"), {}, (name) => (name === "pool" ? "a" : null)),
    "a",
  );
  for (const message of [{}, { selector: undefined }, { selector: {} }, { selector: { pool: 7 } }, undefined]) {
    assert.equal(poolOf(line("selector.pool"), message, none), "");
  }
});

/** Fields that are the id of a job; the name of a cron schedule is one, too. */
const ID_FIELDS = /^(job_ids?|running_jobs|known_job_ids|unknown_job_ids)$/;

function namesJobs(message: DescMessage, seen = new Set<string>()): boolean {
  if (seen.has(message.typeName)) return false;
  seen.add(message.typeName);
  if (message.typeName === "poolmesh.v1.Cron") return true;
  return message.fields.some(({ name, message: inner }) => ID_FIELDS.test(name) || (inner && namesJobs(inner, seen)));
}

function hasField(message: DescMessage | undefined, [name = "", ...rest]: string[]): boolean {
  const field = message?.fields.find((each) => each.localName === name);
  if (field === undefined) return false;
  return rest.length === 0 || field.fieldKind === "map" || hasField(field.message, rest);
}
