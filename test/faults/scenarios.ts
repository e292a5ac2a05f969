/** Every row of the list of faults, in its order. */
import type { Scenario } from "./scenario.js";
import { handlers } from "./scenarios/handler.js";
import { workerDeath } from "./scenarios/worker-death.js";
import { workerPause } from "./scenarios/worker-pause.js";

/** All rows. */
export const SCENARIOS: readonly Scenario[] = [...workerDeath, ...workerPause, ...handlers].sort((a, b) =>
  a.id < b.id ? -1 : 1,
);
