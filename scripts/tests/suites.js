/** The suites of `npm test`, in their order: how many of their files run at once, and how long one may take. */
export const SUITES = {
  unit: { concurrency: 2, timeout: 240_000 },
  sim: { concurrency: 2, timeout: 240_000 },
  // A file of these waits most of its time: for processes that start, for brokers, for limits that end.
  integration: { concurrency: 5, timeout: 240_000 },
  e2e: { concurrency: 3, timeout: 420_000 },
  // What is compared here is how long things take: one file at a time, so that no other test is in the way.
  timing: { concurrency: 1, timeout: 420_000 },
  faults: { concurrency: 3, timeout: 1_500_000 },
};
