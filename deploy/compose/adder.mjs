/** The handler of the compose file's workers. */
export function run(job) {
  return job.payload + 1;
}
