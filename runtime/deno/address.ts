/**
 * Where a request came from and what it asked for, behind as many proxies of our own as were said.
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

/**
 * The upgrade as the visitor asked for it: a proxy that cannot keep `Host` on a WebSocket says it in
 * `X-Forwarded-Host`. A copy, since the original cannot be read any more once it has been upgraded.
 */
export function askedUpgrade(request: Request, hops: number): Request {
  const { protocol, pathname, search } = new URL(request.url);
  const host = hops > 0 ? request.headers.get("x-forwarded-host") : null;
  const asked = `${protocol}//${host}${pathname}${search}`;
  const url = host !== null && URL.canParse(asked) ? asked : request.url;
  return new Request(url, { headers: new Headers(request.headers) });
}
