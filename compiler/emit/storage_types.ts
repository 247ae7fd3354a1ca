/**
 * `.kontract/types.d.ts`: types `env.storage` by module augmentation.
 *
 * @module
 */

/** What is needed of a table, known before any type is lowered. */
export interface StorageTable {
  readonly name: string;
  readonly className: string;
  /** Path of the declaring module relative to the app's folder. */
  readonly module: string;
  readonly primkey: string;
  /** Fields that have a default. */
  readonly defaults: readonly string[];
}

/** The file's text. */
export function emitStorageTypes(tables: readonly StorageTable[]): string {
  const lines = ["// Written by Kontract from the table classes of this app. Do not edit.", ""];
  if (tables.length > 0) lines.push(`import type { Table } from "@kontract/kontract";`);
  for (const [i, table] of tables.entries()) {
    lines.push(
      `import type { ${table.className} as Row${i} } from ${JSON.stringify(`../${table.module}`)};`,
    );
  }
  lines.push(`declare module "@kontract/kontract" {`, `  interface StorageRegistry {`);
  for (const [i, table] of tables.entries()) {
    const defaults = table.defaults.map((name) => JSON.stringify(name)).join(" | ") || "never";
    lines.push(
      `    ${table.name}: Table<Row${i}, { key: ${
        JSON.stringify(table.primkey)
      }; defaults: ${defaults} }>;`,
    );
  }
  lines.push("  }", "}", "export {};", "");
  return lines.join("\n");
}
