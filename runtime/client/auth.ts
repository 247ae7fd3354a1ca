/**
 * Sign-up, sign-in and sign-out as typed functions over the sealed channel.
 *
 * @module
 */
import { hasCode, toClientError } from "./failure.ts";
import { type ClientSession, type SessionState, toState } from "./session.ts";

/** E-mail address and password. */
export interface Credentials {
  /** Address; upper and lower case are the same. */
  readonly email: string;
  /** Password, as it was typed. */
  readonly password: string;
}

/** What `me` tells of the caller. */
export interface Me {
  /** Id of the account; stays when an anonymous visitor signs up. */
  readonly owner: string;
  /** Tenant the account belongs to. */
  readonly tenant: string;
  /** True until the account has credentials. */
  readonly anonymous: boolean;
  /** Groups as stored now. */
  readonly ugroups: readonly string[];
  /** Address of the account, or null. */
  readonly email: string | null;
  /** True once a mail to the address was answered. */
  readonly emailVerified: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Id of this session, as in `sessions`. */
  readonly session: string;
}

/** One sign-in of the caller. */
export interface SessionInfo {
  /** Id of the sign-in; for `revokeSession`. */
  readonly id: string;
  /** When it began, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** When its token was renewed last. */
  readonly refreshedAt: number;
  /** When it ends unless it is renewed. */
  readonly expiresAt: number;
  /** Network address it began from. */
  readonly address: string;
  /** True for the session that asks. */
  readonly current: boolean;
}

/** How signing up ended: at once, or by a mail that must be answered first. */
export interface Registration {
  /** `confirmation_sent`: a mail must be answered before the account has the address. */
  readonly status: "registered" | "confirmation_sent";
  /** The session after the call. */
  readonly session: SessionState;
}

/** Auth functions; the server's own checks decide, errors arrive typed. */
export interface ClientAuth {
  /** Makes sure there is a session; anonymous where nobody is signed in. */
  anonymous(): Promise<SessionState>;
  /** Signs up. The anonymous session's rows stay the user's: the owner id is kept. */
  register(credentials: Credentials): Promise<Registration>;
  /** Signs in as an existing user. */
  login(credentials: Credentials): Promise<SessionState>;
  /** As `register`, for somebody who has a session. */
  link(credentials: Credentials): Promise<Registration>;
  /** Renews the tokens now. */
  refresh(): Promise<SessionState>;
  /** Ends the session at once, in all tabs; `everywhere` ends all of the user's. */
  logout(options?: { readonly everywhere?: boolean }): Promise<void>;
  /** Who is calling, as stored now. */
  me(): Promise<Me>;
  /** The caller's sign-ins, newest first. */
  sessions(): Promise<readonly SessionInfo[]>;
  /** Ends one of them. */
  revokeSession(argument: { readonly id: string }): Promise<void>;
  /** A new password for who knows the old one; every other sign-in ends. */
  changePassword(
    argument: { readonly current: string; readonly password: string },
  ): Promise<SessionState>;
  /** Has a reset token sent. */
  requestReset(argument: { readonly email: string }): Promise<void>;
  /** Sets a new password by a reset token. */
  resetPassword(argument: { readonly token: string; readonly password: string }): Promise<void>;
  /** Has a verification token sent. */
  requestVerification(): Promise<void>;
  /** Confirms an e-mail address; completes a sign-up that waited for it. */
  verifyEmail(
    argument: { readonly token: string; readonly password?: string },
  ): Promise<SessionState>;
  /** The state as stored; asks no server and starts nothing. */
  state(): Promise<SessionState>;
  /** Tells the state now and at every change, in this tab or another. */
  onChange(listener: (state: SessionState) => void): () => void;
}

type Send = (name: string, argument: unknown, token: string | null) => Promise<unknown>;

/** Auth over `send`, keeping `session` up to date. */
export function createAuth(
  session: () => ClientSession,
  send: Send,
  onChange: ClientAuth["onChange"],
): ClientAuth {
  /** `first`: somebody without a session gets one, or calls without. */
  const call = async (
    name: string,
    argument: unknown = null,
    first: "session" | "none" = "session",
  ): Promise<unknown> => {
    try {
      const current = first === "session" ? await session().ensure() : await session().current();
      try {
        return await send(name, argument, current?.access ?? null);
      } catch (error) {
        if (current === null || !hasCode(error, "SESSION_EXPIRED")) throw error;
        return await send(name, argument, (await session().renew(current)).access);
      }
    } catch (error) {
      throw toClientError(error);
    }
  };
  const adopt = async (answer: unknown): Promise<SessionState> => {
    const { expiresAt } = Object(answer) as { expiresAt?: unknown };
    if (expiresAt === undefined) return toState(await session().current());
    return toState(await session().adopt(answer));
  };
  const signUp = async (name: string, credentials: Credentials): Promise<Registration> => {
    const answer = await call(name, credentials, name === "link" ? "session" : "none");
    const { status } = Object(answer) as { status?: unknown };
    return {
      status: status === "confirmation_sent" ? "confirmation_sent" : "registered",
      session: await adopt(answer),
    };
  };
  const done = async (
    name: string,
    argument?: unknown,
    first?: "session" | "none",
  ): Promise<void> => {
    await call(name, argument, first);
  };
  const ensured = async (renew: boolean): Promise<SessionState> => {
    try {
      const current = await session().ensure();
      return toState(renew ? await session().renew(current) : current);
    } catch (error) {
      throw toClientError(error);
    }
  };

  return {
    anonymous: () => ensured(false),
    register: (credentials) => signUp("register", credentials),
    login: async (credentials) => await adopt(await call("login", credentials, "none")),
    link: (credentials) => signUp("link", credentials),
    refresh: () => ensured(true),
    async logout({ everywhere }: { readonly everywhere?: boolean } = {}): Promise<void> {
      const current = await session().current();
      if (current === null) return;
      const argument = {
        ...(current.refresh === null ? {} : { refresh: current.refresh }),
        ...(everywhere === true ? { everywhere } : {}),
      };
      try {
        await send("logout", argument, current.access).catch((error: unknown) => {
          // The refresh token alone will do where the access token has run out.
          if (!hasCode(error, "UNAUTHORIZED", "SESSION_EXPIRED")) throw error;
          return send("logout", argument, null);
        });
      } catch (error) {
        // Ended already is as good as ended now.
        if (!hasCode(error, "UNAUTHORIZED", "SESSION_REVOKED")) throw toClientError(error);
      }
      await session().forget();
    },
    me: async () => await call("me") as Me,
    sessions: async () => {
      const { sessions } = await call("sessions") as { sessions: readonly SessionInfo[] };
      return sessions;
    },
    revokeSession: (argument) => done("revokeSession", argument),
    changePassword: async (argument) => await adopt(await call("changePassword", argument)),
    requestReset: (argument) => done("requestReset", argument, "none"),
    resetPassword: (argument) => done("resetPassword", argument, "none"),
    requestVerification: () => done("requestVerification"),
    verifyEmail: async (argument) => await adopt(await call("verifyEmail", argument, "none")),
    state: async () => toState(await session().current()),
    onChange,
  };
}
