import { backend, ConflictError, ctx, env, perms } from "@kontract/kontract";
import { AWAY_MS } from "./limits.ts";
import { callerName } from "./people.ts";
import { roomOf } from "./rooms.ts";

/** Somebody who has a room open. */
export interface Presence {
  owner: string;
  name: string;
  /** True while they write. */
  typing: boolean;
  /** Milliseconds until they count as away, unless they say something. */
  left: number;
}

/** What the topic of a room carries. */
export interface PresenceNews extends Omit<Presence, "left"> {
  /** False where they have left. */
  here: boolean;
}

/** Kept in `env.shared`, by owner. */
type Here = Record<string, { name: string; typing: boolean; until: number }>;

/** Who is in which room. Nothing of it is a row: it lives in shared state and is gone by itself. */
export class Presences {
  /// Says that the caller has the room open; again before `AWAY_MS` is over, else they are away.
  ///
  /// Gives everybody who is in the room now. Whoever follows the room hears of it.
  @backend({ perm: perms.R__, readOnly: true, egroup: "presence" })
  static async beat(room: string, typing: boolean): Promise<Presence[]> {
    await roomOf(room);
    const { owner } = ctx;
    const name = await callerName();
    const here = await change(room, (people) => {
      people[owner] = { name, typing, until: Date.now() + AWAY_MS };
    });
    tell(room, { owner, name, typing, here: true });
    const now = Date.now();
    return Object.entries(here).map(([id, { until, ...person }]) => ({
      owner: id,
      ...person,
      left: until - now,
    }));
  }

  /// Says that the caller has left the room.
  @backend({ perm: perms.R__, readOnly: true, egroup: "presence" })
  static async leave(room: string): Promise<void> {
    await roomOf(room);
    const { owner } = ctx;
    await change(room, (people) => {
      delete people[owner];
    });
    tell(room, { owner, name: await callerName(), typing: false, here: false });
  }

  /// A source for `client.subscribe`, by which the caller can see people come and go.
  ///
  /// A topic's name is a name in the caller's own company: nobody hears another company's.
  @backend({ perm: perms.R__, readOnly: true, egroup: "presence" })
  static async followRoom(room: string): Promise<string> {
    await roomOf(room);
    return await env.events.grant(topicOf(room));
  }
}

function topicOf(room: string): string {
  return `presence/${room}`;
}

function tell(room: string, news: PresenceNews): void {
  env.events.emit(topicOf(room), news);
}

/** Changes the list by compare-and-set: of two at once, the second begins again from the first's. */
async function change(room: string, work: (people: Here) => void): Promise<Here> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const before = await env.shared.get<Here>(topicOf(room));
    const now = Date.now();
    const people = Object.fromEntries(
      Object.entries(before ?? {}).filter(([, { until }]) => until > now),
    );
    work(people);
    const ttl = AWAY_MS;
    if (await env.shared.compareAndSet(topicOf(room), before, people, { ttl })) return people;
  }
  throw new ConflictError("Too many people come and go at once. Try again.");
}
