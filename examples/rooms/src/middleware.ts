import { defineMiddleware, rateLimit, requireAuth, timing } from "@kontract/kontract";

/** `Server-Timing` on every plain HTTP answer. */
export const timed = defineMiddleware({}, timing("rooms"));

/** What only people with an account may do: functions of the egroup `members`. */
export const members = defineMiddleware({ egroup: "members" }, requireAuth());

/** Six messages in fifteen seconds from one person, however many windows are open. */
export const calm = defineMiddleware(
  { endpoints: ["post"] },
  rateLimit({ limit: 6, windowMs: 15_000, by: "owner" }),
);
