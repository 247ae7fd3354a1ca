/**
 * The routes of the RealWorld application (Conduit) at their plain REST addresses: a check that an API
 * that was designed elsewhere can be said with `http`.
 *
 * @module
 */

/** What the contract asks for: method, path below `/api`, query parameters. */
export const CONDUIT_OPERATIONS: readonly string[] = [
  "POST /users/login",
  "POST /users",
  "GET /user",
  "PUT /user",
  "GET /profiles/{username}",
  "POST /profiles/{username}/follow",
  "DELETE /profiles/{username}/follow",
  "GET /articles/feed offset limit",
  "GET /articles tag author favorited offset limit",
  "POST /articles",
  "GET /articles/{slug}",
  "PUT /articles/{slug}",
  "DELETE /articles/{slug}",
  "GET /articles/{slug}/comments",
  "POST /articles/{slug}/comments",
  "DELETE /articles/{slug}/comments/{id}",
  "POST /articles/{slug}/favorite",
  "DELETE /articles/{slug}/favorite",
  "GET /tags",
];

const SCHEMA = `import { primkey, table } from "@kontract/kontract";
@table("articles")
export class ArticleRow {
  @primkey
  slug!: string;
  title!: string;
  body!: string;
  author!: string;
  tagList!: string[];
  createdAt!: Date;
}
`;

const ARTICLES =
  `import { AppError, backend, ctx, env, HttpResp, type Int32, NotFoundError } from "@kontract/kontract";
import type { ArticleRow } from "./schema.ts";
export interface NewArticle { title: string; body: string; tagList?: string[] }
export interface ArticleChange { title?: string; body?: string }
export interface Article { slug: string; title: string; body: string; tagList: string[]; createdAt: Date }
export interface OneArticle { article: Article }
export interface ManyArticles { articles: Article[]; articlesCount: Int32 }
export interface NewComment { body: string }
export interface Comment { id: Int32; body: string; createdAt: Date }

export class TitleTaken extends AppError<"TITLE_TAKEN", { slug: string }> {
  constructor(slug: string) {
    super("TITLE_TAKEN", "An article of this title exists.", { status: 409, data: { slug } });
  }
}

function shown({ slug, title, body, tagList, createdAt }: ArticleRow): Article {
  return { slug, title, body, tagList, createdAt };
}

async function find(slug: string): Promise<ArticleRow> {
  const row = await env.storage.articles.get(slug);
  if (row === null) throw new NotFoundError("There is no such article.");
  return row;
}

const page = (rows: readonly ArticleRow[], offset: number, limit: number): ManyArticles => ({
  articles: rows.slice(offset, offset + limit).map(shown),
  articlesCount: rows.length as Int32,
});

export class Articles {
  /** Recent articles of the people one follows. */
  @backend({ readOnly: true, egroup: "Articles", http: { method: "GET", path: "/api/articles/feed" } })
  static async articlesFeed(offset: Int32 = 0, limit: Int32 = 20): Promise<ManyArticles> {
    return page(await env.storage.articles.query({ author: ctx.owner }), offset, limit);
  }
  /**
   * Recent articles.
   * @param tag Only those with this tag.
   * @returns A page, and how many there are in all.
   */
  @backend({ readOnly: true, egroup: "Articles", http: { method: "GET", path: "/api/articles" } })
  static async articles(
    tag?: string, author?: string, favorited?: string, offset: Int32 = 0, limit: Int32 = 20,
  ): Promise<ManyArticles> {
    void favorited;
    const rows = await env.storage.articles.query(author === undefined ? {} : { author });
    return page(rows.filter((row) => tag === undefined || row.tagList.includes(tag)), offset, limit);
  }
  /**
   * Writes an article.
   * @throws {TitleTaken} The title has an article.
   */
  @backend({ egroup: "Articles", http: { method: "POST", path: "/api/articles" } })
  static async createArticle(article: NewArticle): Promise<OneArticle> {
    const slug = article.title.toLowerCase().replaceAll(" ", "-");
    if (await env.storage.articles.get(slug) !== null) throw new TitleTaken(slug);
    const { title, body, tagList = [] } = article;
    const row = await env.storage.articles.set(slug, {
      title, body, tagList, author: ctx.owner, createdAt: new Date(0),
    });
    return HttpResp.created({ article: shown(row) }, { headers: { location: "/api/articles/" + encodeURIComponent(slug) } });
  }
  /** One article. */
  @backend({ readOnly: true, egroup: "Articles", http: { method: "GET", path: "/api/articles/{slug}" } })
  static async article(slug: string): Promise<OneArticle> {
    return { article: shown(await find(slug)) };
  }
  /** Changes an article. */
  @backend({ egroup: "Articles", http: { method: "PUT", path: "/api/articles/{slug}" } })
  static async updateArticle(slug: string, article: ArticleChange): Promise<OneArticle> {
    await find(slug);
    return { article: shown(await env.storage.articles.update(slug, article)) };
  }
  /** Removes an article. */
  @backend({ egroup: "Articles", http: { method: "DELETE", path: "/api/articles/{slug}" } })
  static async deleteArticle(slug: string): Promise<void> {
    await find(slug);
    await env.storage.articles.delete(slug);
  }
  /** What people say. */
  @backend({ readOnly: true, egroup: "Comments", http: { method: "GET", path: "/api/articles/{slug}/comments" } })
  static async comments(slug: string): Promise<{ comments: Comment[] }> {
    await find(slug);
    return { comments: [] };
  }
  /** Says something. */
  @backend({ egroup: "Comments", http: { method: "POST", path: "/api/articles/{slug}/comments" } })
  static async addComment(slug: string, comment: NewComment): Promise<{ comment: Comment }> {
    await find(slug);
    return { comment: { id: 1 as Int32, body: comment.body, createdAt: new Date(0) } };
  }
  /** Takes it back. */
  @backend({ egroup: "Comments", http: { method: "DELETE", path: "/api/articles/{slug}/comments/{id}" } })
  static async deleteComment(slug: string, id: Int32): Promise<void> {
    await find(slug);
    if (id !== 1) throw new NotFoundError();
  }
  /** Likes an article. */
  @backend({ egroup: "Favorites", http: { method: "POST", path: "/api/articles/{slug}/favorite" } })
  static favorite(slug: string): Promise<OneArticle> {
    return Articles.article(slug);
  }
  /** Does not any more. */
  @backend({ egroup: "Favorites", http: { method: "DELETE", path: "/api/articles/{slug}/favorite" } })
  static unfavorite(slug: string): Promise<OneArticle> {
    return Articles.article(slug);
  }
  /** All tags. */
  @backend({ readOnly: true, http: { method: "GET", path: "/api/tags" } })
  static async tags(): Promise<{ tags: string[] }> {
    const rows = await env.storage.articles.query({});
    return { tags: [...new Set(rows.flatMap((row) => row.tagList))].sort() };
  }
}
`;

const USERS = `import { backend, ctx, type Int32 } from "@kontract/kontract";
export interface LoginUser { email: string; password: string }
export interface NewUser { username: string; email: string; password: string }
export interface UserChange { email?: string; bio?: string | null; image?: string | null }
export interface OneUser { user: { email: string; token: string; username: string; bio: string | null } }
export interface OneProfile { profile: { username: string; following: boolean } }
const user = (email: string): OneUser => ({ user: { email, token: "", username: ctx.owner, bio: null } });
const profile = (username: string, following: boolean): OneProfile => ({ profile: { username, following } });

export class Users {
  @backend({ http: { method: "POST", path: "/api/users/login" } })
  static async login(user: LoginUser): Promise<OneUser> { return await echo(user.email); }
  @backend({ http: { method: "POST", path: "/api/users" } })
  static async register(user: NewUser): Promise<OneUser> { return await echo(user.email); }
  @backend({ readOnly: true, http: { method: "GET", path: "/api/user" } })
  static async currentUser(): Promise<OneUser> { return await echo(""); }
  @backend({ http: { method: "PUT", path: "/api/user" } })
  static async updateUser(user: UserChange): Promise<OneUser> { return await echo(user.email ?? ""); }
  @backend({ readOnly: true, http: { method: "GET", path: "/api/profiles/{username}" } })
  static async profile(username: string): Promise<OneProfile> { return await told(username, false); }
  @backend({ http: { method: "POST", path: "/api/profiles/{username}/follow" } })
  static async follow(username: string): Promise<OneProfile> { return await told(username, true); }
  @backend({ http: { method: "DELETE", path: "/api/profiles/{username}/follow" } })
  static async unfollow(username: string): Promise<OneProfile> { return await told(username, false); }
  /** Every form that a query and a body may have. */
  @backend({ readOnly: true, http: { method: "GET", path: "/api/forms/{day}" } })
  static async forms(day: Date, ids: bigint[], exact?: boolean, sort: "asc" | "desc" = "asc", level?: 1 | 2): Promise<string> {
    return await Promise.resolve(JSON.stringify([day.getTime(), ids.map(String), exact ?? null, sort, level ?? null]));
  }
  /** A body of its own beside a query. */
  @backend({ http: { method: "PATCH", path: "/api/forms/{day}", body: "change" } })
  static async patchForm(day: string, change: UserChange, dryRun: boolean = false): Promise<UserChange> {
    return await Promise.resolve(dryRun ? {} : { ...change, email: day });
  }
  /** Optional values of a body. */
  @backend({ http: { method: "POST", path: "/api/values" } })
  static async values(a: string | null, b?: number | null, c?: string, d: string[] = ["d"]): Promise<string> {
    return await Promise.resolve([a, b, c, d].map((one) => one === undefined ? "-" : JSON.stringify(one)).join());
  }
  /** Counts up. */
  @backend({ readOnly: true, http: { method: "GET", path: "/api/counts/{to}" } })
  static async *count(to: Int32): AsyncGenerator<number, void, void> {
    for (let i = 1; i <= to; i++) yield await Promise.resolve(i);
  }
}
async function echo(email: string): Promise<OneUser> { return await Promise.resolve(user(email)); }
async function told(username: string, following: boolean): Promise<OneProfile> {
  return await Promise.resolve(profile(username, following));
}
`;

/** The app's sources. */
export const CONDUIT: Readonly<Record<string, string>> = {
  "kontract.json": `{ "name": "conduit" }\n`,
  "src/schema.ts": SCHEMA,
  "src/articles.ts": ARTICLES,
  "src/users.ts": USERS,
};
