/** `submit` beside stored jobs that run as fast as they can. */
import { besideArm } from "./beside.js";

export const arm = besideArm("running");
