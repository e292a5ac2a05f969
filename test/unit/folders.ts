/** Which unit tests share a process. Two processes run at once. */

/** Those of the services, and of what decides about jobs. */
export const OF_SERVICES: readonly string[] = ["core", "durable", "handlers", "manager", "meter", "page", "worker"];
/** Those of what the services share, of the command line and of the project itself. */
export const OF_SHARED_PARTS: readonly string[] = [
  "auth",
  "cli",
  "http",
  "mesh",
  "objects",
  "process",
  "project",
  "testing",
  "typed",
];
