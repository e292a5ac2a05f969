/** `submit` beside stored jobs that wait: the pool's lane is paused. */
import { besideArm } from "./beside.js";

export const arm = besideArm("paused");
