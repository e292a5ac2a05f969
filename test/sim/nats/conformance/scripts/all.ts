/** The scripts that model and real broker must agree on. */
import type { Script } from "../script.js";
import { CLUSTERS } from "./clusters.js";
import { ENDS } from "./ends.js";
import { JETSTREAM } from "./jetstream.js";
import { LAME_DUCKS } from "./lame-ducks.js";
import { MESSAGES } from "./messages.js";
import { OUTAGES } from "./outages.js";
import { QUEUES } from "./queues.js";
import { RULES } from "./rules.js";

/** All scripts. */
export const SCRIPTS: readonly Script[] = [
  ...MESSAGES,
  ...QUEUES,
  ...ENDS,
  ...OUTAGES,
  ...LAME_DUCKS,
  ...CLUSTERS,
  ...RULES,
  ...JETSTREAM,
];
