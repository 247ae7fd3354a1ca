/**
 * What the codec benches encode: a page of users.
 *
 * @module
 */
import type { Shape, ShapeField, ShapeTable } from "../_internal/shape.ts";
import type { Page, User } from "./flatbuffers_page.ts";

const string: Shape = { kind: "string" };
const number: Shape = { kind: "number", width: "float64" };
const required = (name: string, id: number, shape: Shape): ShapeField => ({
  name,
  id,
  shape,
  optional: false,
});

/** Shapes of the page and what is in it. */
export const TYPES: ShapeTable = {
  Address: {
    kind: "object",
    fields: [
      required("street", 0, string),
      required("city", 1, string),
      required("zip", 2, string),
    ],
  },
  User: {
    kind: "object",
    fields: [
      required("id", 0, string),
      required("name", 1, string),
      required("email", 2, string),
      required("age", 3, { kind: "number", width: "int32" }),
      required("active", 4, { kind: "boolean" }),
      required("score", 5, number),
      required("created_at", 6, number),
      required("tags", 7, { kind: "array", element: string }),
      { name: "address", id: 8, shape: { kind: "ref", name: "Address" }, optional: true },
      required("role", 9, { kind: "enum", values: ["admin", "member", "guest"], ids: [0, 1, 2] }),
    ],
  },
  Page: {
    kind: "object",
    fields: [
      required("users", 0, { kind: "array", element: { kind: "ref", name: "User" } }),
      required("total", 1, { kind: "number", width: "int32" }),
      required("cursor", 2, string),
    ],
  },
};

function makeUser(i: number, ascii: boolean): User {
  const user: User = {
    id: `0190f3c2-7b1a-7c3d-9e4f-${i.toString(16).padStart(12, "0")}`,
    name: ascii || i % 10 !== 0 ? `Alice Example ${i}` : `Zoë Müller ${i}`,
    email: `user${i}@example.com`,
    age: 20 + (i % 50),
    active: i % 3 !== 0,
    score: i * 1.37 + 0.1,
    created_at: 1_760_000_000_000 + i * 1000,
    tags: ["alpha", "beta", `tag${i}`].slice(0, i % 4),
    role: (["admin", "member", "guest"] as const)[i % 3]!,
  };
  if (i % 5 !== 0) {
    user.address = { street: `${i} Main Street`, city: "Springfield", zip: `${10000 + i}` };
  }
  return user;
}

/** A page of `count` users; without `ascii` one name in ten is not ASCII. */
export const page = (count: number, ascii = true): Page => ({
  users: Array.from({ length: count }, (_, i) => makeUser(i + 1, ascii)),
  total: count,
  cursor: "next",
});

/** What the bench encodes, by name. */
export const ENTRIES: readonly { readonly name: string; readonly shape: Shape }[] = [
  { name: "page", shape: { kind: "ref", name: "Page" } },
  {
    name: "args",
    shape: {
      kind: "tuple",
      elements: [{ shape: string, optional: false }, { shape: string, optional: false }],
    },
  },
  { name: "any", shape: { kind: "unknown" } },
];
