/**
 * What stands beside the code of a new app.
 *
 * @module
 */

/** Lines that `.gitignore` must have: what is built, and what is this machine's own (secrets too). */
export const IGNORED: readonly string[] = ["dist/", ".kontract/"];

/** `kontract.json` */
export function settings(name: string): string {
  return `{ "name": ${JSON.stringify(name)} }\n`;
}

/** `README.md` */
export function readme(name: string): string {
  return `# ${name}

A [Kontract](https://jsr.io/@kontract/kontract) app: TypeScript functions that
run on the server and are called from the page like local ones.

\`\`\`sh
deno task dev      # http://127.0.0.1:8787, with a PostgreSQL of its own
deno task test     # builds the app and uses it
deno task check    # format, lint, types, and what may reach a browser
deno task build    # dist/, for Cloudflare Workers and for Deno
deno task start    # builds and serves what a deployment would
deno task kontract # all commands: deno task kontract migrate create <name>
\`\`\`

| file                 | what it is                                     |
| -------------------- | ---------------------------------------------- |
| \`src/schema.ts\`      | The tables: classes whose fields are columns   |
| \`src/notes.ts\`       | The functions of the server                    |
| \`web/\`               | The page; it calls them through \`@/client\`     |
| \`tests/\`             | Tests that use the running app                 |
| \`kontract.lock.json\` | Ids on the wire and in the database: commit it |

Functions marked \`@backend\` are what others may call. \`env.storage\` is typed by
\`.kontract/types.d.ts\` and \`@/client\` by \`dist/client\`; both are written by
\`dev\`, \`build\` and \`test\`.

## Going live

\`\`\`sh
deno task kontract keys new   # prints a KONTRACT_SECRET
deno task deploy --dry-run    # builds into dist/ and checks, deploys nothing
deno task deploy
\`\`\`

A deploy needs three settings in the environment: \`KONTRACT_SECRET\`,
\`DATABASE_URL\` (the role the app runs as) and \`DATABASE_ADMIN_URL\` (for
migrations only). It gives the Worker the first two.

\`deno task migrate\` brings a database up to date without a deploy.
`;
}
