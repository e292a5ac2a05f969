/** Publish, pull and acknowledge, and nothing else: outcomes are not stored. */
import { jetStreamArm } from "./jetstream-workers.js";

export const arm = jetStreamArm(false);
