/** The reference of the .proto files, from their own comments: one page of Markdown for each file. Pure. */
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  type FileDescriptorSet,
  type ServiceDescriptorProto,
} from "@bufbuild/protobuf/wkt";

/** Numbers of fields in descriptor.proto: they make the path of what a comment is about. */
const IN_FILE = { message: 4, enum: 5, service: 6 } as const;
const IN_MESSAGE = { field: 2, nested: 3, enum: 4 } as const;
const IN_SERVICE_OR_ENUM = { member: 2 } as const;
/** Contracts of others, which have references of their own. */
const LEFT_OUT = /^(grpc|google)\//;

/** What a type is called in prose, and where it is explained. */
type Places = ReadonlyMap<string, { readonly page: string; readonly anchor: string }>;

/** Path of the page → its Markdown. */
export function protoPages(set: FileDescriptorSet): Map<string, string> {
  const files = set.file.filter((file) => !LEFT_OUT.test(file.name));
  const places = placesOf(files);
  return new Map(files.map((file) => [pageOf(file), new Page(file, places).text()]));
}

class Page {
  readonly #file: FileDescriptorProto;
  readonly #places: Places;
  readonly #comments: ReadonlyMap<string, string>;

  constructor(file: FileDescriptorProto, places: Places) {
    this.#file = file;
    this.#places = places;
    this.#comments = commentsOf(file);
  }

  text(): string {
    const { service, messageType, enumType } = this.#file;
    return [
      `# ${this.#file.name}`,
      `Package \`${this.#file.package}\`. The file is \`proto/${this.#file.name}\`.`,
      ...service.flatMap((each, index) => this.#service(each, [IN_FILE.service, index])),
      ...messageType.flatMap((each, index) => this.#message(each, each.name, [IN_FILE.message, index])),
      ...enumType.flatMap((each, index) => this.#enum(each, each.name, [IN_FILE.enum, index])),
      "",
    ].join("\n\n");
  }

  #service(service: ServiceDescriptorProto, path: number[]): string[] {
    const rows = service.method.map((method, index) => {
      const [input, output] = [this.#type(method.inputType), this.#type(method.outputType)];
      const stream = [method.clientStreaming ? "stream of " : "", method.serverStreaming ? "stream of " : ""];
      const about = this.#comment([...path, IN_SERVICE_OR_ENUM.member, index]);
      return `| \`${method.name}\` | ${stream[0]}${input} | ${stream[1]}${output} | ${about} |`;
    });
    return [
      `## ${service.name}`,
      this.#comment(path),
      ["| RPC | takes | gives | |", "|---|---|---|---|", ...rows].join("\n"),
    ];
  }

  #message(message: DescriptorProto, name: string, path: number[]): string[] {
    if (message.options?.mapEntry === true) return [];
    const rows = message.field.map((field, index) => {
      const about = this.#comment([...path, IN_MESSAGE.field, index]);
      return `| ${field.number} | \`${field.name}\` | ${this.#fieldType(field, message)} | ${about} |`;
    });
    const table = ["| | field | type | |", "|---:|---|---|---|", ...rows].join("\n");
    return [
      `## ${name}`,
      this.#comment(path),
      rows.length === 0 ? "It has no fields." : table,
      ...message.nestedType.flatMap((each, index) =>
        this.#message(each, `${name}.${each.name}`, [...path, IN_MESSAGE.nested, index]),
      ),
      ...message.enumType.flatMap((each, index) =>
        this.#enum(each, `${name}.${each.name}`, [...path, IN_MESSAGE.enum, index]),
      ),
    ];
  }

  #enum(type: EnumDescriptorProto, name: string, path: number[]): string[] {
    const rows = type.value.map((value, index) => {
      const about = this.#comment([...path, IN_SERVICE_OR_ENUM.member, index]);
      return `| ${value.number} | \`${value.name}\` | ${about} |`;
    });
    return [`## ${name}`, this.#comment(path), ["| | value | |", "|---:|---|---|", ...rows].join("\n")];
  }

  #fieldType(field: FieldDescriptorProto, owner: DescriptorProto): string {
    const entry = owner.nestedType.find((each) => each.options?.mapEntry && field.typeName.endsWith(`.${each.name}`));
    if (entry !== undefined) {
      const [key, value] = entry.field.map((each) => this.#fieldType(each, entry));
      return `map of ${key} to ${value}`;
    }
    const type = field.typeName === "" ? scalar(field.type) : this.#type(field.typeName);
    const oneof =
      field.proto3Optional || field.oneofIndex === undefined ? undefined : owner.oneofDecl[field.oneofIndex];
    if (field.label === FieldDescriptorProto_Label.REPEATED) return `list of ${type}`;
    if (field.proto3Optional) return `${type}, optional`;
    return hasOneof(field) && oneof !== undefined ? `${type}, one of \`${oneof.name}\`` : type;
  }

  /** @param fullName such as ".poolmesh.v1.Heartbeat" */
  #type(fullName: string): string {
    const name = fullName.replace(/^\./, "");
    const short = name.replace(`${this.#file.package}.`, "");
    const place = this.#places.get(fullName);
    if (place === undefined) return `\`${name}\``;
    const own = place.page === pageOf(this.#file);
    return `[\`${short}\`](${own ? "" : relativePage(pageOf(this.#file), place.page)}#${place.anchor})`;
  }

  #comment(path: readonly number[]): string {
    return this.#comments.get(path.join()) ?? "";
  }
}

/** proto3 without `optional` leaves oneof_index 0 unset; the reader of descriptors tells them apart by the presence. */
function hasOneof(field: FieldDescriptorProto): boolean {
  return Object.hasOwn(field, "oneofIndex");
}

function placesOf(files: readonly FileDescriptorProto[]): Places {
  const places = new Map<string, { page: string; anchor: string }>();
  for (const file of files) {
    const add = (name: string): unknown =>
      places.set(`.${file.package}.${name}`, { page: pageOf(file), anchor: name.toLowerCase().replaceAll(".", "") });
    const addMessage = (message: DescriptorProto, name: string): void => {
      add(name);
      for (const each of message.enumType) add(`${name}.${each.name}`);
      for (const each of message.nestedType) addMessage(each, `${name}.${each.name}`);
    };
    for (const each of file.messageType) addMessage(each, each.name);
    for (const each of file.enumType) add(each.name);
  }
  return places;
}

/** What stands above, or beside, each declaration, on one line of Markdown. */
function commentsOf(file: FileDescriptorProto): Map<string, string> {
  const locations = file.sourceCodeInfo?.location ?? [];
  return new Map(
    locations.flatMap(({ path, leadingComments, trailingComments }) => {
      const text = `${leadingComments} ${trailingComments}`.trim();
      return text === "" ? [] : [[path.join(), toMarkdown(text)] as const];
    }),
  );
}

function toMarkdown(text: string): string {
  return text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/[|<*[\]]/g, "\\$&")
    .trim();
}

function pageOf(file: FileDescriptorProto): string {
  return `proto/${file.name.replace(/\.proto$/, ".md")}`;
}

function relativePage(from: string, to: string): string {
  return `${"../".repeat(from.split("/").length - 1)}${to}`;
}

function scalar(type: FieldDescriptorProto_Type): string {
  return `\`${FieldDescriptorProto_Type[type].toLowerCase()}\``;
}
