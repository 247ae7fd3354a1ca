/**
 * Where a request came from, behind as many proxies of our own as were said.
 *
 * @module
 */

/** Entries of `X-Forwarded-For` count from the right: what stands left of our proxies is hearsay. */
export function addressOf(
  request: Request,
  info: Deno.ServeHandlerInfo | undefined,
  hops: number,
): string {
  if (hops > 0) {
    const entries = (request.headers.get("x-forwarded-for") ?? "").split(",");
    // Some proxies write the port, too: it must not make a new visitor of every connection.
    const entry = (entries.at(-hops) ?? "").trim()
      .replace(/^([\d.]+):\d+$/, "$1").replace(/^\[([^\]]*)\](?::\d+)?$/, "$1");
    if (/^[0-9A-Fa-f.:]{2,45}$/.test(entry)) return entry;
  }
  const address = info?.remoteAddr;
  return address !== undefined && "hostname" in address ? address.hostname : "unknown";
}
