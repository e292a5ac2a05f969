/** Computes for some milliseconds. */
import { countPrimes } from "../harness/compute.js";

export const codec = "text";

export function run(): string {
  return String(countPrimes());
}
