/** The durable lane, outcomes stored. */
import { durableArm } from "./durable-client.js";

export const arm = durableArm(true);
