import {
  backend,
  ConflictError,
  ctx,
  env,
  HttpResp,
  perms,
  type SessionTokens,
  UnauthorizedError,
} from "@kontract/kontract";
import { filled, Refused } from "./refused.ts";
import type { UserRow } from "./schema.ts";

/** Who signs up. */
export interface NewUser {
  username: string;
  email: string;
  password: string;
}

/** Who signs in. */
export interface LoginUser {
  email: string;
  password: string;
}

/** What changes; what is missing stays. An empty text empties `bio` and `image`, as null does. */
export interface UserChange {
  email?: string | null;
  password?: string | null;
  username?: string | null;
  bio?: string | null;
  image?: string | null;
}

/** Somebody to themselves. */
export interface User {
  email: string;
  /** For `Authorization: Token <token>`. */
  token: string;
  username: string;
  bio: string | null;
  image: string | null;
}

/** Somebody to others. */
export interface Profile {
  username: string;
  bio: string | null;
  image: string | null;
  /** Whether the caller follows them. */
  following: boolean;
}

/** Accounts of one's own. */
export class Users {
  /** Signs somebody up. */
  @backend({ session: "none", perm: perms.RW_, http: { method: "POST", path: "/api/users" } })
  static async registerUser(user: NewUser): Promise<{ user: User }> {
    const username = named(user.username);
    const email = filled("email", user.email);
    filled("password", user.password);
    if (await env.storage.users.first({ username }) !== null) {
      throw new Refused(409, "username", "has already been taken");
    }
    const session = await signUp(email, user.password);
    const row = await env.storage.users.set(session.owner, { username });
    return HttpResp.created({ user: shown(row, email, session.access) });
  }

  /** Signs somebody in. */
  @backend({ session: "none", http: { method: "POST", path: "/api/users/login" } })
  static async loginUser(user: LoginUser): Promise<{ user: User }> {
    const email = filled("email", user.email);
    filled("password", user.password);
    const session = await signIn(email, user.password);
    const row = session === null ? null : await env.storage.users.get(session.owner);
    if (session === null || row === null) throw new Refused(401, "credentials", "invalid");
    return { user: shown(row, email, session.access) };
  }

  /** Who is calling. */
  @backend({ readOnly: true, http: { method: "GET", path: "/api/user" } })
  static async currentUser(): Promise<{ user: User }> {
    const [row, { email }] = await Promise.all([me(), env.auth.account()]);
    return { user: shown(row, email ?? "", shownToken()) };
  }

  /** Changes the caller's profile, address or password. */
  @backend({ perm: perms.RW_, http: { method: "PUT", path: "/api/user" } })
  static async updateUser(user: UserChange): Promise<{ user: User }> {
    const { username, bio, image } = user;
    const [row, account] = await Promise.all([me(), env.auth.account()]);
    const email = user.email === undefined ? account.email ?? "" : filled("email", user.email);
    const password = user.password;
    if (password !== undefined) filled("password", password);
    const changed = await env.storage.users.update(row.id, {
      ...(username === undefined ? {} : { username: await freeUsername(username) }),
      ...(bio === undefined ? {} : { bio: bio || null }),
      ...(image === undefined ? {} : { image: image || null }),
    });
    const change = {
      ...(email === account.email ? {} : { email }),
      ...(password === undefined || password === null ? {} : { password }),
    };
    const token = Object.keys(change).length === 0
      ? shownToken()
      : (await env.auth.changeCredentials(change)).access;
    return { user: shown(changed, email, token) };
  }
}

/** Other people. */
export class Profiles {
  /** Somebody's profile. */
  @backend({
    readOnly: true,
    session: "optional",
    http: { method: "GET", path: "/api/profiles/{username}" },
  })
  static async getProfile(username: string): Promise<{ profile: Profile }> {
    const [profile] = await env.storage.exec<Profile>`
      select u.username, u.bio, u.image,
             exists (select 1 from follows f where f.id = ${ctx.owner} || '/' || u.id) as following
        from users u where u.username = ${username}`;
    if (profile === undefined) throw new Refused(404, "profile", "not found");
    return { profile };
  }

  /** Follows somebody. */
  @backend({ perm: perms.RW_, http: { method: "POST", path: "/api/profiles/{username}/follow" } })
  static async followUser(username: string): Promise<{ profile: Profile }> {
    const follower = signedIn();
    const followed = await person(username);
    await env.storage.follows.set(`${follower}/${followed.id}`, {
      follower,
      followed: followed.id,
    });
    return { profile: profileOf(followed, true) };
  }

  /** Follows somebody no more. */
  @backend({ perm: perms.R_X, http: { method: "DELETE", path: "/api/profiles/{username}/follow" } })
  static async unfollowUser(username: string): Promise<{ profile: Profile }> {
    const follower = signedIn();
    const followed = await person(username);
    await env.storage.follows.delete(`${follower}/${followed.id}`);
    return { profile: profileOf(followed, false) };
  }
}

/** Owner id of a caller who has signed up. */
export function signedIn(): string {
  if (ctx.isAnonymous) throw new UnauthorizedError();
  return ctx.owner;
}

/** The caller's own row. */
export async function me(): Promise<UserRow> {
  const row = await env.storage.users.get(signedIn());
  if (row === null) throw new UnauthorizedError();
  return row;
}

/** Somebody as others see them. */
export function profileOf({ username, bio, image }: UserRow, following: boolean): Profile {
  return { username, bio, image, following };
}

function shown({ username, bio, image }: UserRow, email: string, token: string): User {
  return { email: email.toLowerCase(), token, username, bio, image };
}

/** The token that this request showed. */
function shownToken(): string {
  return ctx.header("authorization")?.split(" ").at(-1) ?? "";
}

async function person(username: string): Promise<UserRow> {
  const row = await env.storage.users.first({ username });
  if (row === null) throw new Refused(404, "profile", "not found");
  return row;
}

/** A name that fits into an address and an index. */
function named(value: string | null): string {
  const username = filled("username", value);
  if (username.length > 100) {
    throw new Refused(422, "username", "is too long (maximum is 100 characters)");
  }
  return username;
}

async function freeUsername(value: string | null): Promise<string> {
  const username = named(value);
  const other = await env.storage.users.first({ username });
  if (other !== null && other.id !== ctx.owner) {
    throw new Refused(422, "username", "has already been taken");
  }
  return username;
}

/**
 * A session of a new account. Account and profile are stored one after the other; where the second was lost on the
 * way, who knows the password goes on with the first.
 */
async function signUp(email: string, password: string): Promise<SessionTokens> {
  try {
    const { session } = await env.auth.register({ email, password });
    if (session !== null) return session;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
  const session = await signIn(email, password);
  if (session !== null && !await env.storage.users.has(session.owner)) return session;
  throw new Refused(409, "email", "has already been taken");
}

/** A session of an account; null where address or password are wrong. */
async function signIn(email: string, password: string): Promise<SessionTokens | null> {
  try {
    return await env.auth.login({ email, password });
  } catch (error) {
    if (error instanceof UnauthorizedError) return null;
    throw error;
  }
}
