/** The same work as primes.ts, in the form that piscina takes: a file with a default export. */
import { countPrimes } from "../harness/loops/compute.js";

export default function run(payload: string): string {
  return String(countPrimes(payload.length));
}
