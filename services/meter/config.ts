/** The meter's configuration: which options it has and what they become. */

import { findControlToken } from "../../mesh/auth/control-token.js";
import type { AccessOptions } from "../../mesh/auth/gate.js";
import { PoolError } from "../../mesh/errors.js";
import { type EdgeOptions, edgeConfig } from "../../mesh/http/edge-options.js";
import type { BusOptions } from "../../mesh/link/bus.js";
import { toBusOptions } from "../../mesh/process/bus-config.js";
import { type ConfigOf, readConfig } from "../../mesh/process/config.js";
import type { Logger } from "../../mesh/process/log.js";
import { BUS_OPTIONS, EDGE_OPTIONS, OPTIONS, pick } from "../../mesh/process/options.js";
import type { MeterStateOptions } from "./meter-state.js";

/** How a meter is made. */
export interface MeterOptions extends MeterStateOptions, EdgeOptions {
  /** The broker; not used after useBus(). */
  readonly bus?: BusOptions;
  /** First token of every subject; default "pool". */
  readonly prefix?: string;
  /** This meter's id; default made from host and process. */
  readonly id?: string;
  /** Pools to hear; default all. */
  readonly pools?: readonly string[];
  /** Whether workers may be drained, paused and resumed through this meter; needs controlToken or policyFile. Default false. */
  readonly control?: boolean;
  /** Whether it shows the durable lane, and retries and purges its dead letters where control is on. Default false. */
  readonly durable?: boolean;
  /** Where the built page is; default dist/page of the package. */
  readonly pageFolder?: string;
  readonly log?: Logger;
}

/** The options of `poolmesh meter`. */
export const METER_OPTIONS = pick([
  ...BUS_OPTIONS,
  "id",
  "pools",
  ...EDGE_OPTIONS,
  "maxPools",
  "maxWorkers",
  "control",
  "durable",
]);

export type MeterConfig = ConfigOf<typeof METER_OPTIONS>;

/** Where a meter listens unless told otherwise. */
export const METER_LISTEN = { host: "127.0.0.1", port: 8090 } as const;

/** @throws PoolError `invalid_argument` listing every mistake */
export function readMeterConfig(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
): MeterConfig {
  return readConfig(METER_OPTIONS, env, flags, OPTIONS);
}

/** A configuration as options of the service. */
export function toMeterOptions(config: MeterConfig, log: Logger): MeterOptions {
  const { id, pools, prefix, maxPools, maxWorkers, control, durable, policyFile } = config;
  const needsToken = control && policyFile === undefined;
  const controlToken = needsToken ? findControlToken(process.env, config.controlToken, log) : undefined;
  return {
    ...edgeConfig({ ...config, controlToken }, METER_LISTEN),
    ...{ prefix, maxPools, maxWorkers, control, durable, log },
    bus: toBusOptions(config),
    ...(id === undefined ? {} : { id }),
    ...(pools === undefined ? {} : { pools }),
  };
}

/** Control that nobody could have is a mistake. @throws PoolError `invalid_argument` */
export function requireToken(options: { readonly control?: boolean } & AccessOptions): void {
  const { control, controlToken, policyFile } = options;
  if (!control || controlToken !== undefined || policyFile !== undefined) return;
  throw new PoolError("invalid_argument", "control: needs a token, in POOLMESH_CONTROL_TOKEN, or a policy file", {
    field: "control",
  });
}
