/** The same work as primes.ts, in the form that piscina takes: a file with a default export. */
import { countPrimes } from "../harness/compute.js";

// biome-ignore lint/style/noDefaultExport: piscina runs a file's default export
export default function run(): string {
  return String(countPrimes());
}
