/**
 * What is wrong with a protobuf message that a program has made. Pure.
 *
 * The library encodes what it can: a number in a field of texts becomes text, an
 * object "[object Object]". So each field is checked by its type first.
 */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { SchemaIssue } from "../errors.js";

/** The fields that cannot hold their values; empty when all can. */
export function protobufIssues<D extends DescMessage>(schema: D, message: MessageShape<D>): SchemaIssue[] {
  const issues: SchemaIssue[] = [];
  checkMessage(reflect(schema, message, true), "", issues);
  return issues;
}

/** A value that is set again where it is: the library checks what is set. */
function checkMessage(message: ReflectMessage, path: string, issues: SchemaIssue[]): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const at = `${path}.${field.localName}`;
    const check = (where: string, set: () => unknown): void => {
      try {
        set();
      } catch (error) {
        issues.push({ path: where, message: (error as Error).message });
      }
    };
    if (field.fieldKind === "list") {
      const list = message.get(field);
      for (const [i, item] of list.entries()) {
        if (isMessage(item)) checkMessage(item, `${at}[${i}]`, issues);
        else check(`${at}[${i}]`, () => list.set(i, item));
      }
    } else if (field.fieldKind === "map") {
      const map = message.get(field);
      for (const [key, value] of map.entries()) {
        if (isMessage(value)) checkMessage(value, `${at}.${String(key)}`, issues);
        else check(`${at}.${String(key)}`, () => map.set(key, value));
      }
    } else if (field.fieldKind === "message") checkMessage(message.get(field), at, issues);
    else check(at, () => message.set(field, message.get(field)));
  }
}

function isMessage(value: unknown): value is ReflectMessage {
  return typeof value === "object" && value !== null && "desc" in value;
}
