import { backend, ctx, env, perms } from "@kontract/kontract";
import { checkLine } from "./errors.ts";
import { NAME_LIMIT } from "./limits.ts";

/** Who is looking at the page. */
export interface Me {
  /** Owner id: a message with the same `author` is the caller's own. */
  owner: string;
  /** What the others see. */
  name: string;
  /** True until the caller has signed up. */
  guest: boolean;
  /** The tenant: which company's rooms these are. */
  company: string;
}

export class People {
  /// Who the caller is in this company.
  @backend({ perm: perms.R__, readOnly: true, egroup: "people" })
  static async me(): Promise<Me> {
    return {
      owner: ctx.owner,
      name: await callerName(),
      guest: ctx.isAnonymous,
      company: ctx.tenant,
    };
  }

  /// Changes what the caller is called from the next message on.
  ///
  /// @throws {ValidationError} for an empty or a long name, with `data.field`
  @backend({ perm: perms.RW_, grants: { "people.name": perms.RW_ }, egroup: "people" })
  static async rename(name: string): Promise<void> {
    await env.storage.people.set(ctx.owner, { name: checkLine(name, "name", NAME_LIMIT) });
  }
}

/** What the caller is called; read once in a call. */
export function callerName(): Promise<string> {
  return ctx.memo("name", async () => {
    const person = await env.storage.people.get(ctx.owner);
    return person?.name ?? `Guest ${ctx.owner.slice(-4)}`;
  });
}
