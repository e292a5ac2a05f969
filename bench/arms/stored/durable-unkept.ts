/** The durable lane without stored outcomes. */
import { durableArm } from "./durable-client.js";

export const arm = durableArm(false);
