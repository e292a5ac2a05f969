/** Poolmesh's services and messages as they are shipped, for agents that run or speak to them. */
import { load } from "./poolmesh.js";

export const { ManagerService } =
  await load<typeof import("../../../dist/services/manager/service.js")>("services/manager/service.js");
export const { Meter } = await load<typeof import("../../../dist/services/meter/meter.js")>("services/meter/meter.js");
export const managerProto = await load<typeof import("../../../dist/gen/poolmesh/v1/manager_pb.js")>(
  "gen/poolmesh/v1/manager_pb.js",
);
export const meterProto =
  await load<typeof import("../../../dist/gen/poolmesh/v1/meter_pb.js")>("gen/poolmesh/v1/meter_pb.js");
export const heartbeatProto = await load<typeof import("../../../dist/gen/poolmesh/v1/heartbeat_pb.js")>(
  "gen/poolmesh/v1/heartbeat_pb.js",
);
export const { Subjects } = await load<typeof import("../../../dist/mesh/wire/subjects.js")>("mesh/wire/subjects.js");

export type Subjects = import("../../../dist/mesh/wire/subjects.js").Subjects;
export type Heartbeat = import("../../../dist/gen/poolmesh/v1/heartbeat_pb.js").Heartbeat;
export type SubmitManyRequest = import("../../../dist/gen/poolmesh/v1/manager_pb.js").SubmitManyRequest;
