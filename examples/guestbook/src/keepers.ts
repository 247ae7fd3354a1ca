import {
  backend,
  ctx,
  env,
  ForbiddenError,
  KontractError,
  NotFoundError,
  perms,
  secret,
} from "@kontract/kontract";

/** Who is reading the book. */
export interface Reader {
  /** Owner id: an entry with the same `author` is the reader's own. */
  owner: string;
  /** True for a keeper, who may remove any entry. */
  keeper: boolean;
}

/** Keeping the book in order. */
export class Keepers {
  /** Who the caller is in this book. */
  @backend({ perm: perms.R__, readOnly: true })
  static async whoami(): Promise<Reader> {
    return { owner: ctx.owner, keeper: await isKeeper() };
  }

  /** Makes the caller a keeper, for the code that the operator set as `KEEPER_CODE`. */
  @backend({
    perm: perms.RW_,
    grants: { "keepers.since": perms.RW_ },
    rateLimit: { limit: 5, windowMs: 60_000 },
  })
  static async claim(code: string): Promise<void> {
    if (!await sameText(code, keeperCode())) {
      throw new ForbiddenError("This is not the keeper's code.");
    }
    if (!await isKeeper()) await env.storage.keepers.set(ctx.owner, { since: Date.now() });
  }

  /** Removes any entry. For keepers only. */
  @backend({ perm: perms.R_X })
  static async removeAny(id: string): Promise<void> {
    if (!await isKeeper()) throw new ForbiddenError("Only a keeper of the book may do this.");
    if (!await env.storage.entries.has(id)) {
      throw new NotFoundError("This entry is not in the book any more.");
    }
    await env.storage.entries.delete(id);
  }
}

/** Read in the same transaction as what follows: a keeper removed meanwhile is one no more. */
async function isKeeper(): Promise<boolean> {
  return await env.storage.keepers.has(ctx.owner);
}

function keeperCode(): string {
  try {
    return secret("KEEPER_CODE");
  } catch (error) {
    if (error instanceof KontractError && error.code === "CONFIG") {
      throw new ForbiddenError(
        "Nobody keeps this book: the server was started without KEEPER_CODE.",
      );
    }
    throw error;
  }
}

/** Compares digests, so that the time taken tells nothing about the code. */
async function sameText(given: string, expected: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [a, b] = await Promise.all(
    [given, expected].map((text) => crypto.subtle.digest("SHA-256", encoder.encode(text))),
  );
  const left = new Uint8Array(a!);
  const right = new Uint8Array(b!);
  let difference = 0;
  for (const [index, byte] of left.entries()) difference |= byte ^ right[index]!;
  return difference === 0;
}
