/**
 * `kontract tenants create|drop|list`: tenants beside `main`, over the admin's connection. A running app does
 * the same for its operators with `env.tenants`.
 *
 * @module
 */
import { KontractError } from "../../_internal/errors.ts";
import { makeTenant, removeTenant, tenantStatus } from "../../storage/migrate/tenant_admin.ts";
import { type Command, type CommandInput, UsageError } from "../command.ts";
import { openAppFolder } from "../dev/app_folder.ts";
import { presentDatabase } from "../dev/present_database.ts";

const USAGE = "tenants create <name>|drop <name>|list";

/** The command. */
export const command: Command = {
  usage: USAGE,
  summary: "Makes, drops or lists tenants (DATABASE_ADMIN_URL, or the app's own database).",
  options: {
    app: { type: "string", value: "DIR", help: "The app's folder; the current one where missing." },
    yes: { type: "boolean", help: "With 'drop': all rows of the tenant may go." },
    json: { type: "boolean", help: "With 'list': print JSON." },
  },
  positionals: 2,
  async run(input) {
    const work = actionOf(input);
    const app = await openAppFolder(String(input.values.app ?? "."));
    const { adminUrl, stop } = await presentDatabase(app);
    try {
      if (adminUrl !== null) return await work(adminUrl);
      throw new KontractError(
        "CONFIG",
        "DATABASE_URL is set and DATABASE_ADMIN_URL is not: this needs the admin's, since the gateway's " +
          "role owns nothing. An app can do it itself with env.tenants.",
      );
    } finally {
      await stop();
    }
  },
};

function actionOf({ positionals, values }: CommandInput): (adminUrl: string) => Promise<number> {
  const [action, name] = positionals;
  if (action === "list" && name === undefined) {
    return (adminUrl) => list(adminUrl, values.json === true);
  }
  if (name !== undefined && action === "create") return (adminUrl) => create(adminUrl, name);
  if (name !== undefined && action === "drop") {
    if (values.yes === true) return (adminUrl) => drop(adminUrl, name);
    throw new UsageError(`All rows and users of tenant '${name}' would go: say so with --yes.`);
  }
  throw new UsageError(`Say 'kontract ${USAGE}'.`);
}

async function create(adminUrl: string, name: string): Promise<number> {
  const made = await makeTenant(adminUrl, name);
  console.log(made ? `Tenant '${name}' is there.` : `Tenant '${name}' was there already.`);
  return 0;
}

async function drop(adminUrl: string, name: string): Promise<number> {
  const gone = await removeTenant(adminUrl, name);
  console.log(gone ? `Tenant '${name}' is gone.` : `There was no tenant '${name}'.`);
  return 0;
}

async function list(adminUrl: string, json: boolean): Promise<number> {
  const tenants = await tenantStatus(adminUrl);
  if (json) {
    console.log(JSON.stringify(tenants, null, 2));
    return 0;
  }
  const lines = tenants.map(({ name, createdAt, lags }) =>
    `${name}  ${createdAt.toISOString()}${lags ? "  lags: run 'kontract migrate up'" : ""}`
  );
  console.log(lines.length === 0 ? "There is no tenant beside 'main'." : lines.join("\n"));
  return 0;
}
