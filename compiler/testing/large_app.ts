/**
 * A large app for benches and limits: routes spread over files, each with types of its own and shared ones.
 *
 * @module
 */

/** Source files of an app with `routes` backend functions in `files` modules. */
export function largeApp(routes: number, files: number): Readonly<Record<string, string>> {
  const out: Record<string, string> = {
    "src/schema.ts": `import { primkey, table } from "@kontract/kontract";
@table("users")
export class User {
  @primkey
  id!: string;
  name!: string;
  age?: number;
}
`,
    "src/shared.ts": sharedModule(""),
    "web/main.ts": `import { get0_0 } from "@/client";\nconsole.log(await get0_0("1", 2));\n`,
    "web/index.html": `<!doctype html><script type="module" src="./main.ts"></script>\n`,
  };
  const each = Math.ceil(routes / files);
  for (let f = 0; f < files; f++) {
    const count = Math.min(each, routes - f * each);
    if (count > 0) out[`src/part${f}.ts`] = leafModule(f, count, "");
  }
  return out;
}

/** The module that every other imports types of; `extra` is one more field. */
export function sharedModule(extra: string): string {
  return `export interface Address { street: string; city: string; zip?: string }
export interface Page<T> { items: T[]; total: number; next: string | null }
export type Status = "new" | "open" | "closed";
export interface Owner { id: string; address: Address; status: Status${extra} }
`;
}

/** Module number `f` with `count` routes; `body` stands inside each function. */
export function leafModule(f: number, count: number, body: string): string {
  const lines = [
    `import { backend, env } from "@kontract/kontract";`,
    `import type { User } from "./schema.ts";`,
    `import type { Owner, Page, Status } from "./shared.ts";`,
    `export interface Item${f} { id: string; count: number; owner: Owner; tags: string[]; when: Date }`,
    `export class Part${f} {`,
  ];
  for (let i = 0; i < count; i++) {
    lines.push(
      `  /** Gets item ${i} of part ${f}. */`,
      `  @backend({ readOnly: ${i % 2 === 0} })`,
      `  static async get${f}_${i}(id: string, n: number, status: Status = "new"): Promise<Page<Item${f}>> {`,
      `    const user: User | null = await env.storage.users.get(id);${body}`,
      `    void user;`,
      `    void status;`,
      `    return { items: [], total: n, next: null };`,
      `  }`,
    );
  }
  return [...lines, "}", ""].join("\n");
}
