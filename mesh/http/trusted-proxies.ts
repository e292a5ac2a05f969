/**
 * From which address a request comes when proxies stand in front of this server.
 *
 * Decided here: `X-Forwarded-For` is read only where the other end of the connection is a proxy
 * that the operator has named. It is read from its end: each proxy adds the address that it saw,
 * so what stands before the first address of a stranger is that stranger's own word. `Forwarded`
 * (RFC 7239) is not read.
 */
import { BlockList, isIP } from "node:net";
import type { HttpRequest } from "./rpc/exchange.js";

/** So many addresses are looked at. */
const MAX_HOPS = 32;
const CIDR = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/;

/** An address range of proxies. */
interface Range {
  readonly address: string;
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

/** An address, or a range of them such as "10.0.0.0/8". @throws Error that says what to use */
export function checkCidr(text: string): string {
  toRange(text);
  return text;
}

/** The proxies that are trusted to say who called them. */
export class TrustedProxies {
  readonly #ranges = new BlockList();

  /** @param ranges addresses, or ranges such as "10.0.0.0/8". @throws Error for one that is none */
  constructor(ranges: readonly string[]) {
    for (const { address, prefix, family } of ranges.map(toRange)) this.#ranges.addSubnet(address, prefix, family);
  }

  /**
   * The nearest address that is no trusted proxy; the farthest one when all are.
   *
   * @param peer the other end of the connection; "" when it has left
   */
  addressOf(req: Pick<HttpRequest, "headers">, peer: string): string {
    if (!this.#trusts(peer)) return peer;
    const said = String(req.headers["x-forwarded-for"] ?? "");
    let nearest = peer;
    for (const hop of said.split(",").slice(-MAX_HOPS).reverse()) {
      const address = toAddress(hop.trim());
      // What a trusted proxy has not said is not known: the request comes from that proxy.
      if (address === undefined) return nearest;
      nearest = address;
      if (!this.#trusts(address)) return address;
    }
    return nearest;
  }

  #trusts(address: string): boolean {
    const bare = address.split("%", 1)[0] ?? "";
    const version = isIP(bare);
    return version !== 0 && this.#ranges.check(bare, version === 4 ? "ipv4" : "ipv6");
  }
}

function toRange(text: string): Range {
  const [, address = "", length] = CIDR.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) throw new Error("use addresses or ranges such as 10.0.0.0/8");
  const most = version === 4 ? 32 : 128;
  const prefix = length === undefined ? most : Number(length);
  if (prefix < 1 || prefix > most) throw new Error(`use a range of /1 to /${most}: /0 would trust everybody`);
  return { address, prefix, family: version === 4 ? "ipv4" : "ipv6" };
}

/** An address as a proxy writes it, perhaps with a port; undefined for anything else. */
function toAddress(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text;
  return isIP(bare) === 0 ? undefined : bare;
}
