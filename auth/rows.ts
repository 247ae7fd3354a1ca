/**
 * Rows of auth's tables as types, parsed once on the way in. A row that does not parse means a broken
 * database, not a caller's fault: `INTERNAL`.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { AuthRow } from "./store.ts";

/** A row of `_users`. */
export interface UserRow extends AuthRow {
  readonly ugroups: readonly string[];
  readonly anonymous: boolean;
  readonly email?: string;
  readonly emailVerified: boolean;
  readonly createdAt: number;
}

/** A row of `_credentials`. */
export interface CredentialRow extends AuthRow {
  readonly owner: string;
  readonly provider: "password";
  readonly email: string;
  readonly hash: string;
  readonly createdAt: number;
  readonly changedAt: number;
}

/** A row of `_sessions`. */
export interface SessionRow extends AuthRow {
  readonly owner: string;
  readonly stem: string;
  readonly current: string;
  readonly previous?: string;
  readonly successor?: string;
  readonly rotatedAt: number;
  readonly createdAt: number;
  readonly idleUntil: number;
  readonly expiresAt: number;
  readonly address: string;
  readonly bucket: string;
}

/** What a mailed token is for; a `decoy` was never mailed and is worth nothing. */
export type MailTokenKind = "register" | "verify" | "reset" | "decoy";

/** A row of `_mail_tokens`. */
export interface MailTokenRow extends AuthRow {
  readonly kind: MailTokenKind;
  readonly owner: string;
  readonly email: string;
  readonly hash?: string;
  readonly expiresAt: number;
  readonly bucket: string;
}

type FieldType = "string" | "number" | "boolean" | "strings" | "string?";

const SHAPES = {
  _users: {
    ugroups: "strings",
    anonymous: "boolean",
    email: "string?",
    emailVerified: "boolean",
    createdAt: "number",
  },
  _credentials: {
    owner: "string",
    provider: "string",
    email: "string",
    hash: "string",
    createdAt: "number",
    changedAt: "number",
  },
  _sessions: {
    owner: "string",
    stem: "string",
    current: "string",
    previous: "string?",
    successor: "string?",
    rotatedAt: "number",
    createdAt: "number",
    idleUntil: "number",
    expiresAt: "number",
    address: "string",
    bucket: "string",
  },
  _mail_tokens: {
    kind: "string",
    owner: "string",
    email: "string",
    hash: "string?",
    expiresAt: "number",
    bucket: "string",
  },
} as const satisfies Record<string, Readonly<Record<string, FieldType>>>;

/** Row type of each table. */
export interface AuthRows {
  _users: UserRow;
  _credentials: CredentialRow;
  _sessions: SessionRow;
  _mail_tokens: MailTokenRow;
}

/** Checks a row that the store gave; null stays null. */
export function parseRow<T extends keyof AuthRows>(
  table: T,
  row: AuthRow | null,
): AuthRows[T] | null {
  if (row === null) return null;
  const shape: Readonly<Record<string, FieldType>> = SHAPES[table];
  const clean: Record<string, unknown> = { id: row.id };
  for (const [name, type] of Object.entries(shape)) {
    const value = row[name] ?? undefined;
    if (value === undefined && type === "string?") continue;
    if (!matches(value, type)) {
      throw new KontractError("INTERNAL", undefined, {
        cause: new Error(`${table}.${name} of a stored row is not a ${type}`),
      });
    }
    clean[name] = value;
  }
  return clean as unknown as AuthRows[T];
}

function matches(value: unknown, type: FieldType): boolean {
  switch (type) {
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "string":
    case "string?":
      return typeof value === "string";
  }
}

/** The hour in which a row that ends at `expiresAt` may be swept. */
export function sweepBucket(expiresAt: number): string {
  return new Date(expiresAt + 3_600_000).toISOString().slice(0, 13);
}

/** Id of a password credential. */
export function passwordCredentialId(email: string): string {
  return `password:${email}`;
}
