/** What a broker says when a permission is missing. Pure. */

/** What was refused. */
export interface BrokerRefusal {
  readonly operation: "publish" | "subscribe";
  readonly subject: string;
}

const REFUSAL = /permissions violation for (publish|subscription) to "([^"]+)"/i;

/** The refusal that an error of the broker tells of; undefined when it tells of something else. */
export function refusalIn(error: string): BrokerRefusal | undefined {
  const [, operation, subject] = REFUSAL.exec(error) ?? [];
  if (operation === undefined || subject === undefined) return undefined;
  return { operation: operation.toLowerCase() === "publish" ? "publish" : "subscribe", subject };
}
