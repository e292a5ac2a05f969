/** What `poolmesh up` can be told, and what each of its services is told in turn. Pure. */

import { PoolError } from "../../mesh/errors.js";
import { type ConfigOf, envName, flagName, type OptionSpecs } from "../../mesh/process/config.js";
import { ACCESS_OPTIONS, BUS_OPTIONS, type Listen, pick } from "../../mesh/process/options.js";
import { MANAGER_OPTIONS } from "../../services/manager/config.js";
import { METER_OPTIONS } from "../../services/meter/config.js";
import { WORKER_CONFIG } from "../../services/worker/config.js";

/** The declared options of `up`. */
export const UP_SPECS = pick([
  "pool",
  "handler",
  "exec",
  "slots",
  "isolation",
  "loadTimeoutMs",
  "labels",
  "id",
  "graceMs",
  "timeoutMs",
  "parkedLimit",
  "parkedBytesLimit",
  "clientShare",
  "durable",
  "largePayloads",
  "jobHistory",
  "showPayloads",
  "jobEvents",
  "control",
  ...ACCESS_OPTIONS,
  "maxStreams",
  "maxCallerStreams",
  "heartbeatIntervalMs",
  ...BUS_OPTIONS,
]);

export type UpConfig = ConfigOf<typeof UP_SPECS>;

/** The flags that are `up`'s own, as commander gives them. */
export interface UpFlags {
  readonly workers?: number;
  readonly managers?: number;
  readonly managerListen?: Listen;
  readonly meterListen?: Listen;
  readonly storeDir?: string;
  readonly json?: boolean;
  readonly broker?: boolean;
}

/** A service's name and its options. */
const SERVICES = { manager: MANAGER_OPTIONS, meter: METER_OPTIONS, worker: WORKER_CONFIG } as const;
export type ServiceName = keyof typeof SERVICES;

/** Said to each service by `up` itself. */
const OWN = new Set<string>(["id", "logLevel", ...BUS_OPTIONS]);

/**
 * How many workers to start; 0 without a handler.
 *
 * @throws PoolError `invalid_argument`
 */
export function workerCount(config: UpConfig, flags: UpFlags): number {
  const { pool, handler, exec } = config;
  const hasHandler = handler !== undefined || exec !== undefined;
  if (handler !== undefined && exec !== undefined) throw refuse("handler", "say --handler or --exec, not both");
  if (hasHandler && pool === undefined) throw refuse("pool", "say --pool NAME: what the workers serve");
  if (!hasHandler && pool !== undefined)
    throw refuse("handler", "say --handler FILE or --exec CMD: what the workers run");
  if (!hasHandler && (flags.workers ?? 0) > 0) throw refuse("handler", "workers need --pool, and --handler or --exec");
  return hasHandler ? (flags.workers ?? 1) : 0;
}

/** The flags of one service: those of `up`'s that it has too. */
export function serviceArgs(service: ServiceName, flags: Readonly<Record<string, string | undefined>>): string[] {
  const specs: OptionSpecs = SERVICES[service];
  const names = Object.keys(specs).filter((name) => !OWN.has(name) && flags[name] !== undefined);
  return names.flatMap((name) => {
    const value = flags[name] as string;
    return specs[name]?.value === "" ? [flagName(name)] : [flagName(name), value];
  });
}

/** Credentials that are meant for another broker than an embedded one, as variables. */
const OTHER_CREDENTIALS = [
  ...["user", "password", "token", "credsFile", "nkeyFile"].map(envName),
  ...["NATS_CREDS", "NATS_NKEY"],
];

/**
 * The environment of the services: the connection to the broker is in it, so that no secret is in an argv.
 *
 * @param servers the broker's URLs; those of an embedded broker bear its credential
 * @param isEmbedded whether `up` has started the broker
 */
export function serviceEnv(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
  servers: string,
  isEmbedded = false,
): Record<string, string | undefined> {
  const bus = BUS_OPTIONS.filter((name) => flags[name] !== undefined && name !== "logLevel");
  const said = Object.fromEntries(bus.map((name) => [envName(name), flags[name]]));
  const unsaid = isEmbedded ? Object.fromEntries(OTHER_CREDENTIALS.map((name) => [name, undefined])) : {};
  return {
    ...env,
    ...said,
    ...unsaid,
    [envName("servers")]: servers,
    [envName("id")]: undefined,
    [envName("listen")]: undefined,
  };
}

function refuse(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
