/**
 * `poolmesh/testing`: tests of handlers and of programs that submit jobs, in the test's own process.
 *
 * It needs no broker, and works in any test runner.
 *
 * @module poolmesh/testing
 * @category API
 */
export type { CodecChoice } from "./services/worker/handlers/handler-exports.js";
export type { FailedJob } from "./services/worker/handlers/job-report.js";
export {
  type HandlerExports,
  type TestedHandler,
  type TestedJob,
  type TestJobOptions,
  testJob,
} from "./testing/test-job.js";
export {
  type TestClientOptions,
  TestMesh,
  type TestMeshOptions,
  type TestWorker,
  type TestWorkerOptions,
} from "./testing/test-mesh.js";
export type { TestProcess } from "./testing/test-process.js";
