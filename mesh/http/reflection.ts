/**
 * The standard gRPC server reflection, v1 and v1alpha: it describes the services
 * of this server to tools that have no .proto files.
 */
import {
  createRegistry,
  type DescFile,
  type DescService,
  type MutableRegistry,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";

/** What a reflection request may ask; both versions have the same cases. */
type Question =
  | { case: "listServices" | "fileByFilename" | "fileContainingSymbol" | "allExtensionNumbersOfType"; value: string }
  | { case: "fileContainingExtension"; value: { containingType: string; extensionNumber: number } }
  | { case: undefined; value?: undefined };

/** Serves the descriptions of `services`, of reflection itself, and of all that they import. */
export function reflectionRoutes(router: ConnectRouter, services: readonly DescService[]): void {
  const catalogue = new Descriptors([...services, ServerReflection, ServerReflectionAlpha]);
  router.service(ServerReflection, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        const messageResponse = catalogue.answer(request.messageRequest);
        yield { validHost: request.host, originalRequest: request, messageResponse };
      }
    },
  });
  router.service(ServerReflectionAlpha, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        const messageResponse = catalogue.answer(request.messageRequest);
        yield { validHost: request.host, originalRequest: request, messageResponse };
      }
    },
  });
}

/** The files of some services, by name and by symbol. */
export class Descriptors {
  readonly #services: readonly string[];
  readonly #files = new Map<string, DescFile>();
  readonly #registry: Registry;

  constructor(services: readonly DescService[]) {
    this.#services = services.map((service) => service.typeName).sort();
    for (const service of services) this.#add(service.file);
    this.#registry = createRegistry(...this.#files.values());
  }

  /** The answer to one question; an error is an answer too. */
  answer(question: Question) {
    switch (question.case) {
      case "listServices":
        return listed(this.#services);
      case "fileByFilename":
        return this.#file(this.#files.get(question.value), question.value);
      case "fileContainingSymbol":
        return this.#file(this.#fileOf(question.value), question.value);
      case "allExtensionNumbersOfType":
        if (this.#registry.getMessage(question.value) === undefined) return notFound(question.value);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: question.value, extensionNumber: [] as number[] },
        } as const;
      case "fileContainingExtension":
        return notFound(`${question.value.containingType} extension ${question.value.extensionNumber}`);
      default:
        return failed(Code.InvalidArgument, "the request asks nothing");
    }
  }

  #add(file: DescFile): void {
    const name = `${file.name}.proto`;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const dependency of file.dependencies) this.#add(dependency);
  }

  /** A symbol is a type, or a member of one: a method, a field, a value. */
  #fileOf(symbol: string): DescFile | undefined {
    const type = this.#registry.get(symbol);
    if (type !== undefined) return type.file;
    const dot = symbol.lastIndexOf(".");
    const parent = this.#registry.get(symbol.slice(0, Math.max(dot, 0)));
    const member = symbol.slice(dot + 1);
    return parent !== undefined && hasMember(parent, member) ? parent.file : undefined;
  }

  #file(file: DescFile | undefined, asked: string) {
    if (file === undefined) return notFound(asked);
    const files = withDependencies(file);
    const fileDescriptorProto = files.map((each) => toBinary(FileDescriptorProtoSchema, each.proto));
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } } as const;
  }
}

type AnyDesc = NonNullable<ReturnType<MutableRegistry["get"]>>;

function hasMember(parent: AnyDesc, name: string): boolean {
  if (parent.kind === "service") return parent.methods.some((each) => each.name === name);
  if (parent.kind === "enum") return parent.values.some((each) => each.name === name);
  if (parent.kind === "message") return parent.members.some((each) => each.name === name);
  return false;
}

/** The file, then all that it imports, each after its own imports. */
function withDependencies(file: DescFile): DescFile[] {
  return [file, ...importsFirst(file, new Set()).slice(0, -1)];
}

function importsFirst(file: DescFile, seen: Set<DescFile>): DescFile[] {
  if (seen.has(file)) return [];
  seen.add(file);
  return [...file.dependencies.flatMap((each) => importsFirst(each, seen)), file];
}

function listed(names: readonly string[]) {
  return { case: "listServicesResponse", value: { service: names.map((name) => ({ name })) } } as const;
}

function notFound(what: string) {
  return failed(Code.NotFound, `unknown: ${what.slice(0, 256)}`);
}

function failed(errorCode: Code, errorMessage: string) {
  return { case: "errorResponse", value: { errorCode, errorMessage } } as const;
}
