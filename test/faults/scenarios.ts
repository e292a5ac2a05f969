/** Every row of the list of faults, in its order, and after it (X…) those that the list does not have. */
import { laneBatches } from "./lane/batches.js";
import { laneChains } from "./lane/chains.js";
import { laneDeaths } from "./lane/deaths.js";
import { laneLarge } from "./lane/large.js";
import { laneLimits } from "./lane/limits.js";
import { authenticity } from "./promises/authenticity.js";
import { foreign } from "./promises/foreign.js";
import { identity } from "./promises/identity.js";
import { lateness } from "./promises/lateness.js";
import type { Scenario } from "./rig/scenario.js";
import { brokers } from "./scenarios/broker.js";
import { brokerCrowd } from "./scenarios/broker-crowd.js";
import { callers } from "./scenarios/callers.js";
import { fleet } from "./scenarios/fleet.js";
import { handlers } from "./scenarios/handler.js";
import { managers } from "./scenarios/manager.js";
import { managerPause } from "./scenarios/manager-pause.js";
import { meters } from "./scenarios/meter.js";
import { meterLinks } from "./scenarios/meter-link.js";
import { mixes } from "./scenarios/mix.js";
import { network } from "./scenarios/network.js";
import { workerDeath } from "./scenarios/worker-death.js";
import { workerPause } from "./scenarios/worker-pause.js";
import { workerStop } from "./scenarios/worker-stop.js";

/** All rows. */
export const SCENARIOS: readonly Scenario[] = [
  ...workerDeath,
  ...workerPause,
  ...workerStop,
  ...handlers,
  ...fleet,
  ...managers,
  ...callers,
  ...brokers,
  ...brokerCrowd,
  ...network,
  ...meters,
  ...meterLinks,
  ...mixes,
  ...laneDeaths,
  ...laneLimits,
  ...laneChains,
  ...laneBatches,
  ...laneLarge,
  ...managerPause,
  ...identity,
  ...lateness,
  ...authenticity,
  ...foreign,
].sort((a, b) => (a.id < b.id ? -1 : 1));
