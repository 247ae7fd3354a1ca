import { backend, ctx, env, HttpResp, perms } from "@kontract/kontract";
import { requireArticle } from "./articles.ts";
import { filled, Refused } from "./refused.ts";
import { me, type Profile, profileOf, signedIn } from "./users.ts";

/** A comment to be. */
export interface NewComment {
  body: string;
}

/** What somebody said. */
export interface Comment {
  /** A whole number. */
  id: number;
  createdAt: Date;
  updatedAt: Date;
  body: string;
  author: Profile;
}

/** What people say about articles. */
export class Comments {
  /** All comments on an article, the newest first. */
  @backend({
    readOnly: true,
    session: "optional",
    http: { method: "GET", path: "/api/articles/{slug}/comments" },
  })
  static async listComments(slug: string): Promise<{ comments: Comment[] }> {
    const [rows] = await Promise.all([
      env.storage.exec<CommentView>`
        select c.id, c."createdAt", c.body, u.username, u.bio, u.image,
               exists (select 1 from follows f where f.id = ${ctx.owner} || '/' || u.id) as following
          from comments c join users u on u.id = c.author
         where c.article = ${slug} order by c."createdAt" desc, c.id limit 1000`,
      requireArticle(slug),
    ]);
    return {
      comments: rows.map(({ id, createdAt, body, ...author }) => ({
        ...{ id: Number(id), createdAt, updatedAt: createdAt, body, author },
      })),
    };
  }

  /** Says something about an article. */
  @backend({
    perm: perms.RW_,
    grants: { "comments.author": perms.RW_, "comments.createdAt": perms.RW_ },
    http: { method: "POST", path: "/api/articles/{slug}/comments" },
  })
  static async addComment(slug: string, comment: NewComment): Promise<{ comment: Comment }> {
    const [author] = await Promise.all([me(), requireArticle(slug)]);
    const id = newId();
    const { body, createdAt } = await env.storage.comments.set(String(id), {
      article: slug,
      author: author.id,
      body: filled("body", comment.body),
      createdAt: new Date(),
    });
    return HttpResp.created({
      comment: { id, createdAt, updatedAt: createdAt, body, author: profileOf(author, false) },
    });
  }

  /** Takes back a comment of the caller's own. */
  @backend({
    perm: perms.R_X,
    http: { method: "DELETE", path: "/api/articles/{slug}/comments/{id}" },
  })
  static async deleteComment(slug: string, id: number): Promise<void> {
    const owner = signedIn();
    const [comment] = await Promise.all([
      env.storage.comments.get(String(id)),
      requireArticle(slug),
    ]);
    if (comment?.article !== slug) throw new Refused(404, "comment", "not found");
    if (comment.author !== owner) throw new Refused(403, "comment", "forbidden");
    await env.storage.comments.delete(comment.id);
  }
}

interface CommentView {
  id: string;
  createdAt: Date;
  body: string;
  username: string;
  bio: string | null;
  image: string | null;
  following: boolean;
}

/** A number that no other comment has: 53 random bits, the most that every client can read. */
function newId(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high >>> 11) * 2 ** 32 + low;
}
