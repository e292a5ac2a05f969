/** The suites of `npm test`, in their order: how many of their files run at once, and how long one may take. */
export const SUITES = {
  unit: { concurrency: 2, timeout: 240_000 },
  // It only computes: scripts/test.sh runs it beside other suites, at the lowest priority, so it gets what they leave.
  sim: { concurrency: 2, timeout: 3_600_000 },
  // Most files of these two wait most of the time: for processes that start, for brokers, for limits that end.
  integration: { concurrency: 6, timeout: 900_000 },
  e2e: { concurrency: 4, timeout: 1_200_000 },
  // Some of its promises are about milliseconds.
  faults: { concurrency: 2, timeout: 1_500_000 },
  // What is compared here is how long things take: one file at a time, so that no other test is in the way.
  timing: { concurrency: 1, timeout: 1_200_000 },
};
