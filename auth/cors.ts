/**
 * Cross-origin requests: exact origins from a list, nothing reflected, no wildcard. Pure.
 *
 * @module
 */

/** What is known of a request. */
export interface CorsRequest {
  readonly method: string;
  /** `Origin`, or null. */
  readonly origin: string | null;
  /** `Access-Control-Request-Method`, or null: with OPTIONS it makes a preflight. */
  readonly requestMethod: string | null;
  /** The gateway's own origin. */
  readonly self: string;
}

/** Who may ask for what. */
export interface CorsPolicy {
  /** Exact origins: scheme, host and port, as a browser sends them. */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  /** Response headers that a page may read. */
  readonly exposed: readonly string[];
  /** Seconds a preflight may be cached. */
  readonly maxAge: number;
}

/** Headers for the answer; `preflight` where they are the whole answer (204). */
export interface CorsDecision {
  /** `refused`: an origin that is not on the list; answer 403 without acting. */
  readonly kind: "same_origin" | "allowed" | "preflight" | "refused";
  readonly headers: Readonly<Record<string, string>>;
}

/** What a gateway allows by default to the origins on its list. */
export const DEFAULT_CORS: Omit<CorsPolicy, "origins"> = {
  methods: ["GET", "POST"],
  headers: [
    "authorization",
    "content-type",
    "idempotency-key",
    "kontract-session",
    "kontract-tenant",
    "last-event-id",
  ],
  exposed: ["x-request-id", "retry-after", "location", "idempotency-replayed"],
  maxAge: 600,
};

/** Decides. `Vary: Origin` is always there, so no cache mixes two origins up. */
export function decideCors(request: CorsRequest, policy: CorsPolicy): CorsDecision {
  const vary = { "vary": "Origin" };
  const { origin } = request;
  if (origin === null || origin === request.self) return { kind: "same_origin", headers: vary };
  if (origin === "null" || origin === "*" || !policy.origins.includes(origin)) {
    return { kind: "refused", headers: vary };
  }
  const granted = {
    ...vary,
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
  };
  if (request.method !== "OPTIONS" || request.requestMethod === null) {
    const exposed = { "access-control-expose-headers": policy.exposed.join(", ") };
    return { kind: "allowed", headers: { ...granted, ...exposed } };
  }
  return {
    kind: "preflight",
    headers: {
      ...granted,
      "vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
      "access-control-allow-methods": policy.methods.join(", "),
      "access-control-allow-headers": policy.headers.join(", "),
      "access-control-max-age": String(policy.maxAge),
    },
  };
}

/**
 * An origin of a configured list in the form that browsers send; null for what is not an origin (a path,
 * a wildcard, another scheme).
 */
export function normalizeOrigin(text: string): string | null {
  try {
    const url = new URL(text);
    const web = url.protocol === "https:" || url.protocol === "http:";
    const bare = url.pathname === "/" && url.search === "" && url.hash === "" &&
      url.username === "" && url.password === "" && !url.hostname.includes("*");
    return web && bare ? url.origin : null;
  } catch {
    return null;
  }
}
