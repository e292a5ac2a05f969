/** The meter's configuration: which options it has and what they become. */

import { PoolError } from "../../mesh/errors.js";
import { type ConfigOf, readConfig } from "../../mesh/process/config.js";
import { BUS_OPTIONS, OPTIONS, pick } from "../../mesh/process/options.js";

/** The options of `poolmesh meter`. */
export const METER_OPTIONS = pick([
  ...BUS_OPTIONS,
  "id",
  "pools",
  "listen",
  "allowPublic",
  "allowedHosts",
  "maxPools",
  "maxWorkers",
  "maxStreams",
  "control",
  "controlToken",
]);

export type MeterConfig = ConfigOf<typeof METER_OPTIONS>;

/** Where a meter listens unless told otherwise. */
export const METER_LISTEN = { host: "127.0.0.1", port: 8090 } as const;

/** @throws PoolError `invalid_argument` listing every mistake */
export function readMeterConfig(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
): MeterConfig {
  const config = readConfig(METER_OPTIONS, env, flags, OPTIONS);
  requireToken(config);
  return config;
}

/** With control enabled and no token, anybody could control workers. @throws PoolError `invalid_argument` */
export function requireToken(config: { readonly control?: boolean; readonly controlToken?: string | undefined }): void {
  const { control, controlToken } = config;
  if (!control) return;
  if (!controlToken) {
    throw new PoolError("invalid_argument", "control: needs a token, in POOLMESH_CONTROL_TOKEN", { field: "control" });
  }
  if (/^[\x21-\x7e]+$/.test(controlToken)) return;
  const message = "controlToken: use printable ASCII characters without a space, as an HTTP header carries them";
  throw new PoolError("invalid_argument", message, { field: "controlToken" });
}
