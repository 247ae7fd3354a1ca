/**
 * A small app as the compiler would define it, written by hand: tests of the runtime need routes whose
 * every step they control.
 *
 * @module
 */
import { AppError } from "../../_internal/app_error.ts";
import { KontractError } from "../../_internal/errors.ts";
import { foundIn } from "../../_internal/found.ts";
import type { HttpBinding } from "../../_internal/http_route.ts";
import type { Bits, RouteMeta, TableDef } from "../../_internal/manifest.ts";
import { decodeValue, encodeValue } from "../../protocol/codec/mod.ts";
import type { AppDefinition, RouteCode, RouteEntry } from "../app.ts";
import { ctx, env, secret } from "../env.ts";
import { requireAuth, requireGroup } from "../middleware/mod.ts";
import { HttpResp } from "../response.ts";

/** A note, as the table holds it. */
export interface Note {
  readonly id: string;
  readonly text: string;
  readonly author: string;
}

interface NotesStorage {
  readonly notes: import("../../storage/types.ts").Table<Note>;
}

const notes = (): NotesStorage["notes"] => (env.storage as unknown as NotesStorage).notes;

/** The app's one table. */
export const NOTES: TableDef = {
  name: "notes",
  className: "Note",
  primkey: "id",
  perm: 7,
  rows: "all",
  fields: ["id", "text", "author"].map((name) => ({
    name,
    shape: { kind: "string" },
    optional: false,
    perm: 7 as Bits,
    doc: "",
  })),
  indexes: [],
  doc: "",
  source: { file: "notes.ts", line: 1, column: 1 },
};

/** How often each route's body ran. */
export const runs = new Map<string, number>();

/** Resolvers of calls that wait for the test. */
export const gates = new Map<string, () => void>();

type Body = (...args: never[]) => unknown;

/** One function by hand. */
export interface Spec {
  readonly meta?: Partial<RouteMeta>;
  readonly types: readonly ("string" | "number")[];
  readonly stream?: boolean;
  /** Its plain REST address. */
  readonly http?: HttpBinding;
  readonly body: Body;
}

let kept: (() => unknown) | null = null;

class NoteFull extends AppError<"NOTE_FULL", { limit: number }> {
  constructor() {
    super("NOTE_FULL", "The note is full.", { status: 422, data: { limit: 3 } });
  }
}

async function* countTo(n: number): AsyncGenerator<unknown, void, void> {
  for (let i = 1; i <= n; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    yield { i, owner: ctx.owner };
  }
}

/** One element each time the test opens the gate. */
async function* ticks(gate: string): AsyncGenerator<unknown, void, void> {
  for (let i = 1;; i++) {
    yield i;
    await new Promise<void>((resolve) => gates.set(gate, resolve));
  }
}

const MEMBERS = requireAuth();
const STAFF = requireGroup("staff", "admin");

const SPECS: Readonly<Record<string, Spec>> = {
  add: {
    types: ["string", "string"],
    body: async (id: string, text: string): Promise<Note> => {
      const note = await notes().set(id, { text, author: ctx.owner } as Note);
      return HttpResp.created(note, { headers: { location: `/notes/${id}` } });
    },
  },
  read: {
    meta: { readOnly: true },
    types: ["string"],
    body: async (id: string): Promise<Note> => {
      const note = await notes().get(id);
      if (note === null) throw new KontractError("NOT_FOUND", `There is no note '${id}'.`);
      return note;
    },
  },
  append: {
    types: ["string", "string"],
    body: async (id: string, text: string): Promise<string> => {
      const note = await notes().get(id);
      const whole = `${note?.text ?? ""}${text}`;
      await notes().update(id, { text: whole });
      return whole;
    },
  },
  who: {
    meta: { readOnly: true },
    types: [],
    body: () => ({ owner: ctx.owner, anonymous: ctx.isAnonymous, route: ctx.route }),
  },
  adminRead: {
    meta: { ugroup: "admin", readOnly: true },
    types: ["string"],
    body: async (id: string) => (await notes().get(id))?.text ?? null,
  },
  members: {
    meta: { readOnly: true },
    types: [],
    body: () => MEMBERS(() => Promise.resolve(ctx.owner)),
  },
  staff: {
    meta: { readOnly: true },
    types: [],
    body: () => STAFF(() => Promise.resolve(ctx.ugroups)),
  },
  groups: { meta: { readOnly: true }, types: [], body: () => ctx.ugroups },
  ticks: {
    meta: { readOnly: true, timeout: 300_000 },
    types: ["string"],
    stream: true,
    body: ticks,
  },
  adminOnly: { meta: { ugroup: "admin" }, types: [], body: () => "secret of admins" },
  setGroups: {
    meta: { ugroup: "admin" },
    types: ["string", "string"],
    body: (owner: string, groups: string) => env.auth.setGroups(owner, groups.split(",")),
  },
  setGroupsOpenly: {
    types: ["string", "string"],
    body: (owner: string, groups: string) => env.auth.setGroups(owner, groups.split(",")),
  },
  setGroupsReading: {
    meta: { ugroup: "admin", readOnly: true },
    types: ["string"],
    body: (owner: string) => env.auth.setGroups(owner, []),
  },
  setGroupsLate: {
    meta: { ugroup: "admin" },
    types: ["string"],
    body: async (owner: string) => {
      await new Promise<void>((resolve) => gates.set("late", resolve));
      return await env.auth.setGroups(owner, ["admin"]);
    },
  },
  ownerOf: {
    meta: { ugroup: "admin", readOnly: true },
    types: ["string"],
    body: (email: string) => env.auth.ownerOf(email),
  },
  endSessions: {
    meta: { ugroup: "admin" },
    types: ["string"],
    body: (owner: string) => env.auth.endSessions(owner),
  },
  moveIn: {
    meta: { ugroup: "admin" },
    types: ["string"],
    body: (name: string) => env.tenants.create(name),
  },
  moveOut: {
    meta: { ugroup: "admin" },
    types: ["string"],
    body: (name: string) => env.tenants.drop(name),
  },
  tenants: {
    meta: { ugroup: "admin", readOnly: true },
    types: [],
    body: async () => (await env.tenants.list()).map(({ name }) => name),
  },
  moveInOpenly: { types: ["string"], body: (name: string) => env.tenants.create(name) },
  moveInReading: {
    meta: { ugroup: "admin", readOnly: true },
    types: ["string"],
    body: (name: string) => env.tenants.create(name),
  },
  limited: {
    meta: { rateLimit: { limit: 2, windowMs: 60_000 }, readOnly: true },
    types: [],
    body: () => "ok",
  },
  slow: {
    meta: { timeout: 80 },
    types: ["string"],
    body: async (id: string): Promise<void> => {
      await new Promise<void>((resolve) => gates.set(id, resolve));
      await notes().set(id, { text: "late", author: ctx.owner } as Note);
    },
  },
  crash: {
    types: [],
    body: () => {
      throw new Error("password=hunter2 at postgres://gateway:pw@10.0.0.1/db");
    },
  },
  full: {
    types: [],
    body: () => {
      throw new NoteFull();
    },
  },
  config: { types: [], body: () => secret("NO_SUCH_SECRET") },
  keep: {
    types: [],
    body: (): void => {
      const table = notes();
      const who = ctx;
      kept = async () => {
        await table.set("kept", { text: "", author: who.owner } as Note);
        return await table.ownerOf("kept");
      };
    },
  },
  useKept: { types: [], body: () => kept?.() },
  leave: {
    types: [],
    body: (): string => {
      const late = async (): Promise<void> => {
        await new Promise<void>((resolve) => gates.set("leave", resolve));
        await notes().get("x");
      };
      leftover = late().then(() => null, (error: unknown) => error);
      return "left";
    },
  },
  count: { meta: { readOnly: true }, types: ["number"], stream: true, body: countTo },
  emit: {
    types: ["string"],
    body: async (text: string): Promise<void> => {
      env.events.emit("news", { text });
      await notes().set("emitted", { text, author: ctx.owner } as Note);
      if (text === "fail") throw new KontractError("FORBIDDEN");
    },
  },
  share: {
    types: ["string", "string"],
    body: async (key: string, value: string): Promise<unknown> => {
      const before = await env.shared.get(key);
      await env.shared.set(key, value);
      return { before, tenant: ctx.tenant, count: await env.shared.increment(`${key}:n`) };
    },
  },
  once: {
    meta: { readOnly: true },
    types: [],
    body: async () => (await env.shared.rateLimit("once", 1, 3_600_000)).allowed,
  },
  grantNews: { meta: { readOnly: true }, types: [], body: () => env.events.grant("news") },
  gone: { types: [], body: () => HttpResp.noContent() },
  away: { types: [], body: () => HttpResp.redirect("/elsewhere") },
  adminTicks: {
    meta: { ugroup: "admin", readOnly: true, timeout: 300_000 },
    types: ["string"],
    stream: true,
    body: ticks,
  },
};

/** What a call left running came to. */
export let leftover: Promise<unknown> = Promise.resolve(null);

const META: RouteMeta = {
  ugroup: null,
  session: "required",
  perm: 7,
  egroup: null,
  grants: {},
  readOnly: false,
  retry: 5,
  timeout: 10_000,
  rateLimit: null,
  http: null,
  cache: null,
};

function check(types: Spec["types"], value: unknown, code: "VALIDATION" | "RAY_DECODE"): unknown[] {
  if (!Array.isArray(value) || value.length !== types.length) {
    throw new KontractError(code, `Takes ${types.length} arguments.`);
  }
  value.forEach((given, i) => {
    const fits = types[i] === "string" ? typeof given === "string" : typeof given === "number";
    if (!fits) {
      const expected = `a ${types[i]}`;
      const data = { path: `[${i}]`, expected, found: foundIn(given) };
      throw new KontractError(code, `[${i}] must be ${expected}.`, { data });
    }
  });
  return value;
}

function codeOf(name: string, spec: Spec): RouteCode {
  return {
    decodeArguments: (bytes) => check(spec.types, decodeValue(bytes), "RAY_DECODE"),
    encodeResult: (value) => encodeValue(value),
    argumentsFromJson: (value) => check(spec.types, value, "VALIDATION"),
    resultToJson: (value) => value,
    invoke: (args) => {
      runs.set(name, (runs.get(name) ?? 0) + 1);
      return (spec.body as (...args: unknown[]) => unknown)(...args);
    },
  };
}

/** An app over the notes, with these functions. */
export function notesApp(specs: Readonly<Record<string, Spec>>): AppDefinition {
  return {
    app: "notes",
    build: "test",
    tables: [NOTES],
    routes: Object.entries(specs).map(([name, spec], i): RouteEntry => ({
      name,
      op: 1000 + i,
      module: 0,
      meta: { ...META, ...spec.meta },
      schemaHash: name,
      stream: spec.stream === true,
      ...(spec.http === undefined ? {} : { http: spec.http }),
    })),
    modules: [
      () =>
        Promise.resolve({
          routes: Object.fromEntries(
            Object.entries(specs).map(([name, spec]) => [name, codeOf(name, spec)]),
          ),
        }),
    ],
  };
}

/** The app. */
export const NOTES_APP: AppDefinition = notesApp(SPECS);
