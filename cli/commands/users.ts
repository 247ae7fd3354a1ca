/**
 * `kontract users groups <email or id> [groups]`: shows or sets a user's groups. How an app gets its first
 * administrator; later ones can be made by the app itself (`env.auth`).
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { type Command, UsageError } from "../command.ts";
import { openAdminAuth } from "../dev/admin_auth.ts";
import { openAppFolder } from "../dev/app_folder.ts";

const USAGE = "users groups <email|id> [group,...]";

/** The command. */
export const command: Command = {
  usage: USAGE,
  summary: "Shows or sets a user's groups; '' for none. They count in the user's next operation.",
  options: {
    app: { type: "string", value: "DIR", help: "The app's folder; the current one where missing." },
    tenant: { type: "string", value: "NAME", help: "Tenant of the user; 'main' where missing." },
  },
  positionals: 3,
  async run({ positionals, values }) {
    const [action, who, list] = positionals;
    if (action !== "groups" || who === undefined || who === "") {
      throw new UsageError(`Say 'kontract ${USAGE}'.`);
    }
    const tenant = String(values.tenant ?? "main");
    const { auth, close } = await openAdminAuth(await openAppFolder(String(values.app ?? ".")));
    try {
      const owner = who.includes("@") ? await auth.ownerOf(tenant, who) : who;
      if (owner === null) throw new KontractError("NOT_FOUND", `'${who}' has no account.`);
      const groups = list === undefined
        ? await auth.groupsOf(tenant, owner)
        : await auth.setGroups(tenant, owner, parseGroups(list));
      console.log(`${owner}: ${groups.length === 0 ? "no groups" : groups.join(", ")}`);
      return 0;
    } finally {
      await close();
    }
  },
};

function parseGroups(text: string): readonly string[] {
  return text.trim() === "" ? [] : text.split(",").map((group) => group.trim());
}
