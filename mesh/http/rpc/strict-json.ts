/** How a request's JSON is read: what would be left out or changed in silence is refused. */
import type { JsonReadOptions } from "@bufbuild/protobuf";

interface Utf8Decoder {
  readonly textDecoder: { decode(bytes: Uint8Array): string };
}

export const STRICT_JSON: Partial<JsonReadOptions> & Utf8Decoder = {
  // A mistyped field is refused by its name.
  ignoreUnknownFields: false,
  // Bytes that are not UTF-8 would become U+FFFD, and the job would run on another text.
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
};
