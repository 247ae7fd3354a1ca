/**
 * Sign-up, sign-in and sign-out as typed functions over the sealed channel.
 *
 * @module
 */
import { hasCode, toClientError } from "./failure.ts";
import { type ClientSession, type SessionState, toState } from "./session.ts";

/** E-mail address and password. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** What `me` tells of the caller. */
export interface Me {
  readonly owner: string;
  readonly anonymous: boolean;
  readonly [detail: string]: unknown;
}

/** Auth functions; the server's own checks decide, errors arrive typed. */
export interface ClientAuth {
  /** Makes sure there is a session; anonymous where nobody is signed in. */
  anonymous(): Promise<SessionState>;
  /** Signs up. The anonymous session's rows stay the user's: the owner id is kept. */
  register(credentials: Credentials): Promise<SessionState>;
  /** Signs in as an existing user. */
  login(credentials: Credentials): Promise<SessionState>;
  /** Gives the anonymous session's owner a password. */
  link(credentials: Credentials): Promise<SessionState>;
  /** Renews the tokens now. */
  refresh(): Promise<SessionState>;
  /** Ends the session at once, in all tabs; the next call starts an anonymous one. */
  logout(): Promise<void>;
  /** Who is calling, as the server sees it. */
  me(): Promise<Me>;
  /** Own sessions. */
  sessions(): Promise<unknown>;
  /** Ends one of the own sessions. */
  revokeSession(argument: { readonly family: string }): Promise<void>;
  /** Changes the password of the signed-in user. */
  changePassword(argument: { readonly current: string; readonly next: string }): Promise<void>;
  /** Has a reset token sent. */
  requestReset(argument: { readonly email: string }): Promise<void>;
  /** Sets a new password by a reset token. */
  resetPassword(argument: { readonly token: string; readonly password: string }): Promise<void>;
  /** Has a verification token sent. */
  requestVerification(): Promise<void>;
  /** Confirms the e-mail address. */
  verifyEmail(argument: { readonly token: string }): Promise<void>;
  /** The state as stored; asks no server and starts nothing. */
  state(): Promise<SessionState>;
  /** Tells the state now and at every change, in this tab or another. */
  onChange(listener: (state: SessionState) => void): () => void;
}

type Send = (name: string, argument: unknown, token: string | null) => Promise<unknown>;

/** Auth over `send`, keeping `session` up to date. */
export function createAuth(session: () => ClientSession, send: Send): ClientAuth {
  /** With the session's token, renewed once where the server refuses it. */
  const asCaller = async (name: string, argument: unknown = null): Promise<unknown> => {
    try {
      const { access } = await session().ensure();
      try {
        return await send(name, argument, access);
      } catch (error) {
        if (!hasCode(error, "SESSION_EXPIRED")) throw error;
        return await send(name, argument, (await session().renew(access)).access);
      }
    } catch (error) {
      throw toClientError(error);
    }
  };
  const signIn = async (name: string, argument: unknown): Promise<SessionState> => {
    const answer = await asCaller(name, argument);
    return toState(await session().adopt(answer));
  };
  const done = async (name: string, argument?: unknown): Promise<void> => {
    await asCaller(name, argument);
  };
  const ensured = async (renew: boolean): Promise<SessionState> => {
    try {
      const current = await session().ensure();
      return toState(renew ? await session().renew(current.access) : current);
    } catch (error) {
      throw toClientError(error);
    }
  };

  return {
    anonymous: () => ensured(false),
    register: (credentials) => signIn("register", credentials),
    login: (credentials) => signIn("login", credentials),
    link: (credentials) => signIn("link", credentials),
    refresh: () => ensured(true),
    async logout(): Promise<void> {
      const current = await session().current();
      if (current === null) return;
      try {
        await send("logout", { refresh: current.refresh }, current.access);
      } catch (error) {
        // Ended already is as good as ended now.
        if (!hasCode(error, "UNAUTHORIZED", "SESSION_EXPIRED", "SESSION_REVOKED")) {
          throw toClientError(error);
        }
      }
      await session().forget();
    },
    me: async () => await asCaller("me") as Me,
    sessions: () => asCaller("sessions"),
    revokeSession: (argument) => done("revokeSession", argument),
    changePassword: (argument) => done("changePassword", argument),
    requestReset: (argument) => done("requestReset", argument),
    resetPassword: (argument) => done("resetPassword", argument),
    requestVerification: () => done("requestVerification"),
    verifyEmail: (argument) => done("verifyEmail", argument),
    state: async () => toState(await session().current()),
    onChange: (listener) => session().onChange(listener),
  };
}
