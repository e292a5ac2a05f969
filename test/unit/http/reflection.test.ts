import assert from "node:assert/strict";
import { test } from "node:test";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import { Descriptors } from "../../../mesh/http/reflection.js";

const descriptors = new Descriptors([MeterService]);

function filesOf(symbol: string) {
  const answer = descriptors.answer({ case: "fileContainingSymbol", value: symbol });
  assert.ok(answer.case === "fileDescriptorResponse", symbol);
  return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

test("services are listed by their full names", () => {
  const answer = descriptors.answer({ case: "listServices", value: "" });
  assert.deepEqual(answer, {
    case: "listServicesResponse",
    value: { service: [{ name: "poolmesh.v1.MeterService" }] },
  });
});

test("a file comes with every file that it imports, near or far", () => {
  const names = filesOf("poolmesh.v1.MeterService").map((file) => file.name);
  assert.deepEqual(names.slice(0, 1), ["poolmesh/v1/meter.proto"]);
  const imports = ["google/protobuf/timestamp.proto", "poolmesh/v1/heartbeat.proto", "poolmesh/v1/view.proto"];
  assert.deepEqual(names.slice(1).sort(), imports);
});

test("what is sent is enough to build the service from", () => {
  const [file, ...imports] = filesOf("poolmesh.v1.MeterService");
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...imports, file!] }));
  assert.equal(registry.getService("poolmesh.v1.MeterService")?.methods.length, MeterService.methods.length);
});

test("a symbol is a type or a member of one", () => {
  const symbols = [
    "MeterService.GetCapacity",
    "GetCapacityRequest",
    "GetCapacityRequest.pool",
    "WorkerOp",
    "Heartbeat",
  ];
  for (const symbol of symbols) assert.ok(filesOf(`poolmesh.v1.${symbol}`).length > 0, symbol);
});

test("a file is found by its name", () => {
  const answer = descriptors.answer({ case: "fileByFilename", value: "poolmesh/v1/view.proto" });
  assert.equal(answer.case, "fileDescriptorResponse");
});

test("what is unknown is answered not found, and a request that asks nothing invalid", () => {
  const questions = [
    { case: "fileByFilename", value: "nope.proto" },
    { case: "fileContainingSymbol", value: "" },
    { case: "fileContainingSymbol", value: "poolmesh.v1.MeterService.Nope" },
    { case: "fileContainingExtension", value: { containingType: "a.B", extensionNumber: 1 } },
    { case: "allExtensionNumbersOfType", value: "a.B" },
  ] as const;
  for (const question of questions) {
    const answer = descriptors.answer(question);
    assert.ok(answer.case === "errorResponse" && answer.value.errorCode === 5, question.case);
  }
  const nothing = descriptors.answer({ case: undefined });
  assert.ok(nothing.case === "errorResponse" && nothing.value.errorCode === 3);
});

test("a type of ours has no extensions", () => {
  const answer = descriptors.answer({ case: "allExtensionNumbersOfType", value: "poolmesh.v1.Heartbeat" });
  assert.ok(answer.case === "allExtensionNumbersResponse" && answer.value.extensionNumber.length === 0);
});
