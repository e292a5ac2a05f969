/** Says what a job knows of its lane. */
import type { Job } from "../../../services/worker/worker.js";

export default ({ lane, maxAttempts }: Job): string => `${lane} ${maxAttempts ?? ""}`;
