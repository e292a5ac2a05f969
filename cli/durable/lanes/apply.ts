/** `poolmesh durable --apply`: streams and consumers get the settings that Poolmesh makes them with. */
import { type AppliedSettings, applySettings } from "../../../mesh/durable/apply-settings.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import { laneFigures, noLane } from "../../../mesh/durable/shown/figures.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { EXIT } from "../../exit-codes.js";
import { withLink } from "../../link.js";
import { jsonLine } from "../../output/json-text.js";
import type { Shell } from "../../shell.js";
import { START_HINT } from "../lane-source.js";

/** What the command was given. */
export interface ApplyFlags {
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

/** @param pool undefined for all. @throws PoolError `unknown_pool`, `bus_unavailable` */
export async function applyLane(shell: Shell, pool: string | undefined, flags: ApplyFlags): Promise<void> {
  const applied = await withLink(shell, { ...flags, pool: undefined }, async ({ bus, subjects }) => {
    const [store, names] = [new LaneStore(bus), new DurableNames(subjects.prefix)];
    // Who names a pool without a lane hears so.
    if (pool !== undefined && (await laneFigures(store, names, pool)) === undefined) throw noLane(pool, START_HINT);
    return applySettings(store, names, pool);
  });
  shell.exitCode = applied.some(({ refusal }) => refusal !== undefined) ? EXIT.failed : EXIT.ok;
  if (flags.json) return shell.stdout.line(jsonLine({ applied }));
  if (applied.length === 0) return shell.stdout.line("nothing differs from how Poolmesh sets it");
  for (const each of applied) await tell(shell, each);
}

async function tell(shell: Shell, { name, differences, refusal }: AppliedSettings): Promise<void> {
  if (refusal !== undefined) return shell.stderr.line(`poolmesh: ${name} is left as it is: ${refusal}`);
  for (const { key, wanted, found } of differences) {
    await shell.stdout.line(`${name}: ${key} is ${text(wanted)}, was ${text(found)}`);
  }
}

/** A broker leaves out what is not set. */
function text(value: unknown): string {
  return value === undefined || value === null ? "not set" : JSON.stringify(value);
}
