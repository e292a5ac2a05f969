/** What the page is told about its meter: the version, and what it takes and shows. */

/** The answer of page-config.json. */
export interface PageConfig {
  readonly control: boolean;
  readonly durable: boolean;
  readonly version: string;
}

/** Reads it. A meter that does not answer, or whose answer is invalid, counts as read-only and without a lane. */
export async function readPageConfig(): Promise<PageConfig> {
  try {
    const response = await fetch("./page-config.json", { cache: "no-store" });
    return parsePageConfig(await response.json());
  } catch {
    return { control: false, durable: false, version: "" };
  }
}

/** Checks an answer. Pure. */
export function parsePageConfig(answer: unknown): PageConfig {
  const fields = typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : {};
  const { control, durable, version } = fields;
  return { control: control === true, durable: durable === true, version: typeof version === "string" ? version : "" };
}
