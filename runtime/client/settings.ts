/**
 * What can be chosen about a client, and what of it cannot be.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import type { Transport, TransportOptions } from "../../protocol/transport.ts";
import type { SessionMode } from "./cookie_session.ts";
import type { ClientStorage } from "./session_storage.ts";

/** What can be changed after the client was made: before the first call, or between sessions. */
export interface ClientSettings {
  /** Origin of the gateway; the page's own in browsers. */
  readonly url?: string;
  /** Tenant to sign in to, where the gateway's address does not say; each tenant has its own session. */
  readonly tenant?: string;
  /** Where the session is kept; `localStorage` in a page, memory elsewhere. */
  readonly storage?: ClientStorage;
  /** `fetch` to use. */
  readonly fetch?: typeof fetch;
  /** Milliseconds a call may take where it does not say; 30,000. */
  readonly timeout?: number;
  /** `cookieSession` leaves the tokens to the browser, in cookies that no script can read. */
  readonly session?: SessionMode;
  /**
   * The WebSocket that subscriptions and many calls share, null for HTTP alone. The platform's where
   * missing; none beside a `fetch` of your own, with `cookieSession`, and in Workers.
   */
  readonly webSocket?: typeof WebSocket | null;
  /** Another way to the gateway. */
  readonly transport?: (options: TransportOptions) => Transport;
}

/** Longest delay that a timer can have. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** Refuses settings that would fail later, somewhere else. @throws {KontractError} `CONFIG` */
export function checkSettings(settings: ClientSettings): void {
  const { url, tenant, storage, timeout, fetch, session, transport } = settings;
  if (url !== undefined) originOf(url);
  checkTimeout(timeout);
  if (tenant !== undefined && (typeof tenant !== "string" || tenant === "")) {
    throw refused("tenant", "a name", tenant);
  }
  for (const [name, value] of Object.entries({ fetch, session, transport })) {
    if (value !== undefined && typeof value !== "function") {
      throw refused(name, "a function", value);
    }
  }
  if (storage !== undefined) {
    const { get, set } = Object(storage) as Partial<ClientStorage>;
    if (typeof get !== "function" || typeof set !== "function") {
      throw refused("storage", "an object with the functions 'get' and 'set'", storage);
    }
  }
}

/** Refuses a time that is none. @throws {KontractError} `CONFIG` */
export function checkTimeout(timeout: number | undefined): void {
  if (timeout === undefined) return;
  if (typeof timeout !== "number" || !(timeout > 0 && timeout <= MAX_TIMEOUT_MS)) {
    throw refused(
      "timeout",
      `a number of milliseconds, more than 0 and at most ${MAX_TIMEOUT_MS}`,
      timeout,
    );
  }
}

/** Origin of the gateway: of the given address, or the page's own. @throws {KontractError} `CONFIG` */
export function originOf(url: string | undefined): string {
  const given = url ?? (typeof location === "undefined" ? undefined : location?.origin);
  if (typeof given !== "string" || !/^https?:\/\//.test(given) || !URL.canParse(given)) {
    throw new KontractError(
      "CONFIG",
      "The client knows no gateway: call configure({ url: 'https://…' }) outside a web page.",
    );
  }
  return new URL(given).origin;
}

function refused(name: string, rule: string, value: unknown): KontractError {
  const current = typeof value === "object" ? "an object" : String(value).slice(0, 40);
  return new KontractError("CONFIG", `'${name}' must be ${rule}: current value is ${current}.`);
}
