/**
 * Which tenant a request belongs to.
 *
 * A session token names its tenant, so only who has none yet is asked: whoever signs in or starts an
 * anonymous session. The tenant is, in this order,
 *
 * 1. what the deployment's `tenantOf(request)` says (a host name, say): then the client has no choice, and a
 *    token of another tenant is refused at that address;
 * 2. what the client asks for: `createClient({ tenant })`, or the header `kontract-tenant` of `/auth`;
 * 3. `main`.
 *
 * Only tenants that were provisioned exist. What is kept by name (shared state, rate limits, topics) has the
 * tenant in the name, and a tenant's name holds none of the characters that separate its parts.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Principal } from "../auth/contract.ts";
import { addressSubject } from "../auth/limits.ts";
import { checkTenantName, DEFAULT_TENANT } from "../storage/tenant_name.ts";
import type { Clock, SharedState } from "./ports.ts";

export { DEFAULT_TENANT } from "../storage/tenant_name.ts";

/** Request header by which a client without the sealed channel asks for a tenant. */
export const TENANT_HEADER = "kontract-tenant";

/** For how long a tenant that was seen is not looked for again, in milliseconds. */
const KNOWN_MS = 60_000;
const KNOWN_MOST = 10_000;

/** Looks for unknown names from one address: each costs the database a little. */
const LOOKS = { limit: 60, windowMs: 600_000 } as const;

/** What a {@link TenantGate} is made from. */
export interface TenantGateParts {
  /** The deployment's own rule; null leaves the choice to the client. */
  readonly tenantOf: (request: Request) => string | null;
  /** Whether the database has the tenant. */
  exists(tenant: string): Promise<boolean>;
  readonly shared: SharedState;
  readonly clock: Clock;
}

/** Lets requests into tenants. */
export class TenantGate {
  readonly #parts: TenantGateParts;
  /** Name → until when it needs no other look. */
  readonly #known = new Map<string, number>();

  /** Keeps its parts. */
  constructor(parts: TenantGateParts) {
    this.#parts = parts;
  }

  /**
   * Tenant of a caller without a session.
   *
   * @param asked what the client asks for, unchecked, or null
   * @throws {KontractError} `VALIDATION`, `FORBIDDEN`, `NOT_FOUND`, `RATE_LIMITED`
   */
  async choose(request: Request, asked: string | null, address: string): Promise<string> {
    const wanted = asked === null ? null : checkTenantName(asked);
    const fixed = this.#parts.tenantOf(request);
    if (fixed !== null && wanted !== null && wanted !== fixed) {
      throw new KontractError("FORBIDDEN", "This address belongs to another tenant.");
    }
    const tenant = fixed ?? wanted ?? DEFAULT_TENANT;
    if (tenant !== DEFAULT_TENANT) await this.#require(tenant, address);
    return tenant;
  }

  /** Refuses a token of another tenant than the address's. @throws {KontractError} `UNAUTHORIZED` */
  check(request: Request, principal: Principal): Principal {
    const fixed = this.#parts.tenantOf(request);
    if (fixed === null || fixed === principal.tenant) return principal;
    throw new KontractError("UNAUTHORIZED", "This session belongs to another tenant.");
  }

  /** Forgets that a tenant was seen. */
  forget(tenant: string): void {
    this.#known.delete(tenant);
  }

  async #require(tenant: string, address: string): Promise<void> {
    const now = this.#parts.clock.now();
    if ((this.#known.get(tenant) ?? 0) > now) return;
    const key = `t:${addressSubject(address)}`;
    const { allowed, retryAfter } = await this.#parts.shared.rateLimit(
      key,
      LOOKS.limit,
      LOOKS.windowMs,
    );
    if (!allowed) throw new KontractError("RATE_LIMITED", undefined, { data: { retryAfter } });
    if (!await this.#parts.exists(tenant)) {
      throw new KontractError("NOT_FOUND", `There is no tenant '${tenant}'.`);
    }
    if (this.#known.size >= KNOWN_MOST) this.#known.clear();
    this.#known.set(tenant, now + KNOWN_MS);
  }
}
