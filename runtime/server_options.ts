/**
 * `defineServer`: what an app chooses for its server, in code: mail, sign-in rules, origins, tenants.
 *
 * It stands in one place, the default export of `server.ts` in the sources' folder, and both hosts read it
 * from there. Its functions run outside of calls, so they have no `env`, no `ctx` and no `secret()`:
 * secrets come with the argument of {@link ServerFactory}.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuditHook } from "../auth/audit.ts";
import type { Limits } from "../auth/limits.ts";
import type { AuthMailer } from "../auth/mail.ts";
import type { AuthLifetimes } from "../auth/options.ts";
import type { PasswordScheme } from "../auth/password/mod.ts";
import { checkHttpOptions, type HttpOptions } from "./http_options.ts";
import { checkOrigin, type OriginList } from "./origins.ts";
import { isOwnName } from "./own_names.ts";

/** Mail and the rules of sign-in. */
export interface ServerAuthOptions {
  /** Sends mail; without it resets and verifications are accepted and nothing is sent. */
  readonly mail?: AuthMailer;
  /**
   * Told of sign-ins, refusals and changes, in place of the log. May be asynchronous; what it throws is
   * logged and fails nothing.
   */
  readonly audit?: AuditHook;
  /** In mails, and refused as a password; "Kontract" where missing. */
  readonly appName?: string;
  /**
   * `confirmed`: an e-mail is somebody's only after the token mailed to it came back, and registering
   * looks the same whether or not the address has an account. `immediate`: the account exists at once, and
   * a taken address is told. `confirmed` where there is `mail`, `immediate` where there is none.
   */
  readonly registration?: "confirmed" | "immediate";
  /** Scheme and cost of new password hashes; PBKDF2 at 600,000 iterations where missing. */
  readonly password?: PasswordScheme;
  /** Characters; 8 where missing, never less. */
  readonly minPasswordLength?: number;
  /**
   * True takes passwords that are well known, repetitive, runs, or built around the own address, too; their
   * length still counts. For test systems and for APIs whose contract says so. False where missing.
   */
  readonly allowWeakPasswords?: boolean;
  /** Lifetimes that differ from the defaults. */
  readonly lifetimes?: AuthLifetimes;
  /** Replaces default limits of attempts one by one. */
  readonly limits?: Partial<Limits>;
}

/** What an app may choose for its server; all have safe defaults. */
export interface ServerOptions {
  /** Mail, audit, registration, passwords, lifetimes. */
  readonly auth?: ServerAuthOptions;
  /** Web origins that may call, beside the server's own and those in `KONTRACT_ORIGINS`. */
  readonly origins?: OriginList;
  /**
   * Tenant that a request's address belongs to, by its host name for one; null leaves the choice to the
   * client, as where this is missing.
   */
  readonly tenantOf?: (request: Request) => string | null;
  /** Bytes of a JSON body; 1 MiB where missing. */
  readonly maxBody?: number;
  /** False switches `/rpc` off: calls come through the sealed channel, and where `http` gives an address. */
  readonly json?: boolean;
  /** Plain HTTP: scheme of tokens, unknown values, and how failures at REST addresses look. */
  readonly http?: HttpOptions;
}

/** What the host gives to a {@link ServerFactory}. */
export interface ServerEnvironment {
  /**
   * A secret of the deployment, by name: the process's environment, or the Worker's secrets.
   *
   * @throws {KontractError} `CONFIG` where it is not set; the server then answers nothing
   */
  secret(name: string): string;
}

/** Makes the options from the deployment's secrets, once for each server or isolate, without I/O. */
export type ServerFactory = (environment: ServerEnvironment) => ServerOptions;

/** What {@link defineServer} makes. */
export interface ServerDefinition {
  /** Makes the options. */
  readonly make: ServerFactory;
}

/**
 * Declares the options of an app's server; `export default` it from `src/server.ts`.
 *
 * @param options The options, or a function that makes them from the deployment's secrets.
 *
 * @example
 * ```ts
 * import { defineServer, type ServerDefinition } from "@kontract/kontract";
 *
 * const server: ServerDefinition = defineServer(({ secret }) => {
 *   const key = secret("MAIL_KEY");
 *   return {
 *     origins: ["https://app.example.com"],
 *     auth: {
 *       appName: "Notes",
 *       minPasswordLength: 12,
 *       mail: {
 *         async send({ kind, to, token }) {
 *           const sent = await fetch("https://mail.example.com/send", {
 *             method: "POST",
 *             headers: { authorization: `Bearer ${key}` },
 *             body: JSON.stringify({ to, subject: kind, text: token }),
 *           });
 *           await sent.body?.cancel();
 *           if (!sent.ok) throw new Error(`The mail was refused: ${sent.status}`);
 *         },
 *       },
 *     },
 *   };
 * });
 * export default server;
 *
 * const made = server.make({ secret: () => "a key" });
 * if (made.auth?.minPasswordLength !== 12) throw new Error("The options are lost.");
 * ```
 */
export function defineServer(options: ServerOptions | ServerFactory): ServerDefinition {
  return { make: typeof options === "function" ? options : () => options };
}

/**
 * The options of a definition, or none where there is no definition.
 *
 * @param secret The host's secrets, without Kontract's own.
 * @throws {KontractError} `CONFIG`
 */
export function serverOptions(
  definition: ServerDefinition | undefined,
  secret: (name: string) => string | undefined,
): ServerOptions {
  if (definition === undefined) return {};
  const made: unknown = definition.make({
    secret(name): string {
      const value = isOwnName(name) ? undefined : secret(name);
      if (value !== undefined) return value;
      throw new KontractError("CONFIG", `The secret '${name}' is not set, which server.ts reads.`);
    },
  });
  if (typeof made !== "object" || made === null || made instanceof Promise) {
    throw new KontractError("CONFIG", "The function of defineServer must return its options.");
  }
  const { auth, origins, tenantOf, maxBody, json, http } = made as ServerOptions;
  if (origins !== undefined && !Array.isArray(origins)) {
    throw refused("origins", "a list of origins", origins);
  }
  for (const origin of origins ?? []) checkOrigin(origin, "'origins' of defineServer");
  if (maxBody !== undefined && !(Number.isSafeInteger(maxBody) && maxBody > 0)) {
    throw refused("maxBody", "a positive integer", maxBody);
  }
  if (auth !== undefined && (typeof auth !== "object" || auth === null)) {
    throw refused("auth", "an object of options", auth);
  }
  if (tenantOf !== undefined && typeof tenantOf !== "function") {
    throw refused("tenantOf", "a function", tenantOf);
  }
  if (json !== undefined && typeof json !== "boolean") throw refused("json", "a boolean", json);
  return {
    ...(auth === undefined ? {} : { auth }),
    ...(origins === undefined ? {} : { origins }),
    ...(tenantOf === undefined ? {} : { tenantOf }),
    ...(maxBody === undefined ? {} : { maxBody }),
    ...(json === undefined ? {} : { json }),
    ...(http === undefined ? {} : { http: checkHttpOptions(http) }),
  };
}

function refused(name: string, rule: string, value: unknown): KontractError {
  const current = typeof value === "object" && value !== null ? "an object" : String(value);
  return new KontractError(
    "CONFIG",
    `'${name}' of defineServer must be ${rule}: current value is ${current.slice(0, 40)}.`,
  );
}
