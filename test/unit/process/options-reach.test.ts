/** Every option that a program declares is a flag of its command and a variable, and reaches its service. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import type { CommandModule } from "../../../cli/commands.js";
import { toFlags } from "../../../cli/spec-options.js";
import { serviceArgs, serviceEnv, UP_SPECS } from "../../../cli/up/up-options.js";
import type { BusOptions } from "../../../mesh/link/bus.js";
import { envName, flagName, type OptionSpec, type OptionSpecs, readConfig } from "../../../mesh/process/config.js";
import { silentLog } from "../../../mesh/process/log.js";
import { BUS_OPTIONS, OPTIONS } from "../../../mesh/process/options.js";
import { MANAGER_OPTIONS, readManagerConfig, toManagerOptions } from "../../../services/manager/config.js";
import type { ManagerServiceOptions } from "../../../services/manager/service.js";
import { METER_OPTIONS, readMeterConfig, toMeterOptions } from "../../../services/meter/config.js";
import type { MeterOptions } from "../../../services/meter/meter.js";
import { toWorkerOptions, WORKER_CONFIG, type WorkerConfig } from "../../../services/worker/config.js";
import type { WorkerOptions } from "../../../services/worker/worker-options.js";

type Texts = Readonly<Record<string, string | undefined>>;

/** A program: its options, and what a service is made with. */
interface Program {
  readonly specs: OptionSpecs;
  readonly load: () => Promise<CommandModule>;
  /** What it cannot do without. */
  readonly needs: Texts;
  readonly make: (env: Texts, flags: Texts) => object;
  /** What its service can be told, and by which option; null: by a program that embeds it only. */
  readonly settings: Readonly<Record<string, string | null>>;
}

/** What the connection is told in `bus`. The type lists every setting: one that is new must be said here. */
const IN_BUS = null;
const EDGE = {
  ...{ listen: "listen", insecure: "insecure", allowedHosts: "allowedHosts", maxStreams: "maxStreams" },
  ...{ maxCallerStreams: "maxCallerStreams", policyFile: "policyFile", controlToken: "controlToken" },
  ...{ tlsCertFile: "tlsCertFile", tlsKeyFile: "tlsKeyFile", tlsClientCaFile: "tlsClientCaFile" },
  ...{ tlsIntervalMs: null, policyIntervalMs: null, trustedProxy: "trustedProxy" },
} as const;

const MANAGER = {
  ...EDGE,
  ...{ bus: IN_BUS, log: null, hooks: null },
  ...{ id: "id", pools: "pools", prefix: "prefix", timeoutMs: "timeoutMs", acceptTimeoutMs: "acceptTimeoutMs" },
  ...{ parkedLimit: "parkedLimit", parkedBytesLimit: "parkedBytesLimit", clientShare: "clientShare" },
  ...{ maxPools: "maxPools", maxWorkers: "maxWorkers", bare: "bare", durable: "durable", graceMs: "graceMs" },
  ...{ jobHistory: "jobHistory", showPayloads: "showPayloads", jobEvents: "jobEvents" },
} as const;

const METER = {
  ...EDGE,
  ...{ bus: IN_BUS, log: null, pageFolder: null },
  ...{ coalesceMs: null, forgetLostMs: null, forgetStoppedMs: null, keepAliveMs: null, statusKeepAliveMs: null },
  ...{ id: "id", pools: "pools", prefix: "prefix", maxPools: "maxPools", maxWorkers: "maxWorkers", control: "control" },
  durable: "durable",
} as const;

const WORKER = {
  ...{ bus: IN_BUS, connection: null, log: null, run: null, codec: null },
  ...{ pool: "pool", id: "id", slots: "slots", handlerFile: "handler", isolation: "isolation", exec: "exec" },
  ...{ recycleAfter: "recycleAfter", loadTimeoutMs: "loadTimeoutMs", labels: "labels", prefix: "prefix" },
  ...{ heartbeatIntervalMs: "heartbeatIntervalMs", coalesceMs: "coalesceMs", acceptAfterMs: "acceptAfterMs" },
  ...{ abortGraceMs: "abortGraceMs", graceMs: "graceMs", metrics: "metricsListen", largePayloads: "largePayloads" },
  ...{ tlsCertFile: "tlsCertFile", tlsKeyFile: "tlsKeyFile", tlsClientCaFile: "tlsClientCaFile" },
  ...{ policyFile: "policyFile", insecure: "insecure", allowedHosts: "allowedHosts", trustedProxy: "trustedProxy" },
} as const;

const complete = <K extends string>(settings: Readonly<Record<K, string | null>>) => settings;
const PROGRAMS: Readonly<Record<"manager" | "meter" | "worker", Program>> = {
  manager: {
    specs: MANAGER_OPTIONS,
    load: () => import("../../../cli/serve/manager.js"),
    needs: {},
    make: (env, flags) => toManagerOptions(readManagerConfig(env, flags), silentLog),
    settings: complete<keyof ManagerServiceOptions>(MANAGER),
  },
  meter: {
    specs: METER_OPTIONS,
    load: () => import("../../../cli/serve/meter.js"),
    needs: { control: "true" },
    make: (env, flags) => toMeterOptions(readMeterConfig(env, flags), silentLog),
    settings: complete<keyof MeterOptions>(METER),
  },
  worker: {
    specs: WORKER_CONFIG,
    load: () => import("../../../cli/serve/worker.js"),
    needs: { pool: "adder", handler: "adder.ts", metricsListen: "127.0.0.1:3" },
    make: (env, flags) => toWorkerOptions(readConfig(WORKER_CONFIG, env, flags, OPTIONS) as WorkerConfig, silentLog),
    settings: complete<Exclude<keyof WorkerOptions, Exclude<keyof BusOptions, "log">>>(WORKER),
  },
};

/** Two values of each kind. */
const SAMPLES: Readonly<Record<string, readonly [string, string | undefined]>> = {
  ...{ N: ["137", "138"], MS: ["137", "138"], BYTES: ["137", "138"], "0…1": ["0.25", "0.75"] },
  ...{ FILE: ["a.pem", "b.pem"], CMD: ["cat", "tac"], NAME: ["one", "two"], "NAME,…": ["one", "one,two"] },
  ...{ PREFIX: ["one", "two"], "URL,…": ["nats://a:1", "nats://b:2"], URL: ["http://a:1", "http://b:2"] },
  ...{ "HOST:PORT": ["127.0.0.1:1", "127.0.0.1:2"], "HOST,…": ["a.example", "b.example"], "K=V,…": ["a=b", "c=d"] },
  ...{ WHERE: ["thread", "process"], LEVEL: ["debug", "warn"], "CIDR,…": ["10.0.0.0/8", "10.0.0.0/8,::1"] },
};
/** What an option needs beside it. */
const COMPANIONS: Readonly<Record<string, Texts>> = {
  tlsCertFile: { tlsKeyFile: "k.pem" },
  tlsKeyFile: { tlsCertFile: "c.pem" },
  tlsClientCaFile: { tlsCertFile: "c.pem", tlsKeyFile: "k.pem", policyFile: "p.json" },
  natsTlsCertFile: { natsTlsKeyFile: "k.pem" },
  natsTlsKeyFile: { natsTlsCertFile: "c.pem" },
  exec: { handler: undefined },
  password: { user: "u" },
};

function samplesOf(spec: OptionSpec<unknown>): readonly [string, string | undefined] {
  if (spec.secret) return ["secret-one", "secret-two"];
  return spec.value === "" ? ["true", undefined] : (SAMPLES[spec.value] ?? assert.fail(`no sample for ${spec.value}`));
}

/** What the service is made with when an option has this value. */
function madeWith({ specs, needs, make }: Program, name: string, value: string | undefined): string {
  const flags: Record<string, string | undefined> = { ...needs, ...COMPANIONS[name], [name]: value };
  const env: Record<string, string | undefined> = {};
  if ("controlToken" in specs && flags.policyFile === undefined) env[envName("controlToken")] = "a-token";
  if (specs[name]?.secret) {
    env[envName(name)] = value;
    delete flags[name];
  }
  return JSON.stringify(make(env, flags));
}

for (const [command, program] of Object.entries(PROGRAMS)) {
  test(`every option of \`${command}\` changes what its service is made with`, () => {
    // The level of the log is no matter of the service: the program makes the log.
    const names = Object.keys(program.specs).filter((name) => name !== "logLevel");
    const lost = names.filter((name) => {
      const [one, other] = samplesOf(program.specs[name] as OptionSpec<unknown>);
      return madeWith(program, name, one) === madeWith(program, name, other);
    });
    assert.deepEqual(lost, []);
  });

  test(`every setting of the ${command} that is not for embedding programs only has an option of \`${command}\``, () => {
    const wanted = Object.values(program.settings).filter((name) => name !== null);
    assert.deepEqual(
      wanted.filter((name) => !(name in program.specs)),
      [],
    );
    const told = new Set<string>([...wanted, ...BUS_OPTIONS]);
    assert.deepEqual(
      Object.keys(program.specs).filter((name) => !told.has(name)),
      [],
    );
  });

  test(`every option of \`${command}\` is a flag of the command, and secrets are none`, async () => {
    for (const [name, spec] of Object.entries(program.specs)) {
      const parsed = await parse(program.load, spec.secret || spec.value === "" ? [] : [samplesOf(spec)[0]], name);
      if (spec.secret) assert.equal(parsed, undefined, name);
      else assert.equal(parsed?.[name], samplesOf(spec)[0], name);
    }
  });
}

test("a flag that may be given several times is one list", async () => {
  const { load } = PROGRAMS.manager;
  const flags = await parse(load, ["10.0.0.0/8", "--trusted-proxy", "::1,127.0.0.1"], "trustedProxy");
  assert.equal(flags?.trustedProxy, "10.0.0.0/8,::1,127.0.0.1");
  assert.deepEqual(readManagerConfig({}, flags ?? {}).trustedProxy, ["10.0.0.0/8", "::1", "127.0.0.1"]);
});

test("every option of `up` reaches each service that has it, as a flag or, for the broker's, in the environment", () => {
  const byService = Object.entries(PROGRAMS);
  for (const [name, spec] of Object.entries(UP_SPECS) as [string, OptionSpec<unknown>][]) {
    const [value] = samplesOf(spec);
    const has = byService.filter(([, { specs }]) => name in specs);
    assert.ok(has.length > 0, `${name} is for no service`);
    if (["id", "servers", "logLevel"].includes(name)) continue; // `up` says these itself
    for (const [service] of has) {
      const args = serviceArgs(service as keyof typeof PROGRAMS, { [name]: value });
      const flag = spec.value === "" ? [flagName(name)] : [flagName(name), value];
      const isBus = (BUS_OPTIONS as readonly string[]).includes(name);
      if (spec.secret) assert.equal(serviceEnv({ [envName(name)]: value }, {}, "nats://h:1")[envName(name)], value);
      else if (isBus) assert.equal(serviceEnv({}, { [name]: value }, "nats://h:1")[envName(name)], value, name);
      else assert.deepEqual(args, flag, `${service} ${name}`);
    }
  }
});

test("what a service has and `up` has not is meant so", () => {
  const all = Object.values(PROGRAMS).flatMap(({ specs }) => Object.keys(specs));
  const missing = [...new Set(all)].filter((name) => !(name in UP_SPECS));
  assert.deepEqual(missing.sort(), [
    ...["abortGraceMs", "acceptAfterMs", "acceptTimeoutMs", "bare", "coalesceMs", "controlToken", "listen"],
    ...["maxPools", "maxWorkers", "metricsListen", "pools", "recycleAfter"],
  ]);
});

/** The flags that a command hands to its service; undefined when it has no such flag. */
async function parse(load: Program["load"], values: string[], name: string): Promise<Texts | undefined> {
  const command = new Command("test").exitOverride().configureOutput({ writeErr: () => undefined });
  (await load()).define(command, {} as Parameters<CommandModule["define"]>[1]);
  let flags: Texts | undefined;
  command.action((options: Record<string, unknown>) => {
    flags = toFlags(options);
  });
  await command.parseAsync([flagName(name), ...values], { from: "user" }).catch(() => undefined);
  return flags;
}
