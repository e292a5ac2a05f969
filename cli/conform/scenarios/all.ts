/** Every scenario, in the order in which they are run. */
import type { Scenario, ScenarioGroup } from "../scenario.js";
import { ATTEMPTS } from "./attempts.js";
import { BUNDLES } from "./bundles.js";
import { CONTROL, DRAINING } from "./control.js";
import { ERRORS } from "./errors.js";
import { HEARTBEATS } from "./heartbeats.js";
import { JOBS } from "./jobs.js";
import { LEASES } from "./leases.js";
import { SLOTS } from "./slots.js";

/** By subject. Draining is last, since it ends the worker. */
export const GROUPS: readonly ScenarioGroup[] = [
  JOBS,
  SLOTS,
  ERRORS,
  ATTEMPTS,
  LEASES,
  CONTROL,
  HEARTBEATS,
  BUNDLES,
  DRAINING,
];

/** All of them. */
export const SCENARIOS: readonly Scenario[] = GROUPS.flatMap(({ scenarios }) => scenarios);
