/** All rows of the benchmark, in order. */
import type { Row } from "../harness/run.js";
import { computing } from "./computing.js";
import { cost } from "./cost.js";
import { death } from "./death.js";
import { doors } from "./doors.js";
import { durable } from "./durable.js";
import { freshness } from "./freshness.js";
import { latency } from "./latency.js";
import { many } from "./many.js";
import { throughput } from "./throughput.js";
import { waiting } from "./waiting.js";
import { wakes } from "./wakes.js";

export const ROWS: readonly Row[] = [
  ...[throughput, latency, waiting, doors, freshness],
  ...[death, cost, computing, many, wakes, durable],
];
