/**
 * The mail port. Auth decides what must be said and to whom; the adapter writes the text and the link.
 *
 * @module
 */

/** What a message is about. */
export type AuthMailKind =
  /** Confirm a registration: `token` goes to `verifyEmail`. */
  | "register"
  /** Somebody tried to register an address that has an account: no token. */
  | "registration_attempt"
  /** Confirm an address: `token` goes to `verifyEmail`. */
  | "verify"
  /** Choose a new password: `token` goes to `resetPassword`. */
  | "reset"
  /** The password was changed: no token. */
  | "password_changed";

/** One message. */
export interface AuthMail {
  /** What it is about. */
  readonly kind: AuthMailKind;
  /** Normalised address, as stored with the account. */
  readonly to: string;
  /** Tenant of the account. */
  readonly tenant: string;
  /** Name of the app, for the text. */
  readonly appName: string;
  /** Single use; null where the kind has none. Belongs into a link's fragment or query, never a log. */
  readonly token: string | null;
  /** When the token ends, in milliseconds since the epoch; null where there is none. */
  readonly expiresAt: number | null;
}

/** Sends messages. */
export interface AuthMailer {
  /** Rejects where the message could not be handed over; nobody who called sees that. */
  send(mail: AuthMail): Promise<void>;
}

const SUBJECTS: Readonly<Record<AuthMailKind, string>> = {
  register: "confirm your registration",
  registration_attempt: "somebody tried to register with your address; you have an account already",
  verify: "confirm your address",
  reset: "choose a new password",
  password_changed: "your password was changed",
};

/**
 * Prints messages, tokens included: for development only.
 *
 * @param write Where lines go; the console where missing.
 */
export function consoleMailer(write: (line: string) => void = console.log): AuthMailer {
  return {
    send(mail: AuthMail): Promise<void> {
      const lines = [`mail to ${mail.to}: ${mail.appName}: ${SUBJECTS[mail.kind]}`];
      if (mail.token !== null && mail.expiresAt !== null) {
        lines.push(`  token: ${mail.token}`);
        lines.push(`  valid until ${new Date(mail.expiresAt).toISOString()}`);
      }
      for (const line of lines) write(line);
      return Promise.resolve();
    },
  };
}
