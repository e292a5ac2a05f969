/** All rows of the benchmark, in order. */
import type { Row } from "../harness/run.js";
import { latency } from "./latency.js";
import { throughput } from "./throughput.js";
import { waiting } from "./waiting.js";

export const ROWS: readonly Row[] = [throughput, latency, waiting];
