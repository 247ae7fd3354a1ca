import { index, perm, perms, primkey, table } from "@kontract/kontract";

/** People. Address and password are their account's; here is what others see of them. */
@table("users")
export class UserRow {
  /** Owner id of the account. */
  @primkey
  id!: string;
  @index({ unique: true })
  username!: string;
  bio: string | null = null;
  /** Address of a picture. */
  image: string | null = null;
}

/** Who follows whom. */
@table("follows")
export class FollowRow {
  /** `follower/followed`: following twice is one row, and whether somebody follows is one look. */
  @primkey
  id!: string;
  follower!: string;
  @index()
  followed!: string;
}

/** What people write. */
@table("articles")
export class ArticleRow {
  /** Made from the first title. It stays when the title changes, so that links do. */
  @primkey
  slug!: string;
  title!: string;
  description!: string;
  body!: string;
  /** As the author put them; `taggings` finds articles by them. */
  tagList!: string[];
  /** Owner id. Of all functions only `createArticle` may write it. */
  @index()
  @perm(perms.R__)
  author!: string;
  @index()
  @perm(perms.R__)
  createdAt!: Date;
  updatedAt!: Date;
}

/** Tags, the other way round: which articles have one. Written with the article, in the same commit. */
@table("taggings")
export class TaggingRow {
  /** `slug tag`. */
  @primkey
  id!: string;
  @index()
  tag!: string;
  article!: string;
}

/** Who likes what. */
@table("favorites")
export class FavoriteRow {
  /** `owner/slug`: liking twice is one row. */
  @primkey
  id!: string;
  @index()
  article!: string;
}

/** What people say about an article. */
@table("comments")
export class CommentRow {
  /** A whole number, as text. */
  @primkey
  id!: string;
  @index()
  article!: string;
  /** Owner id. Of all functions only `addComment` may write it. */
  @perm(perms.R__)
  author!: string;
  body!: string;
  @perm(perms.R__)
  createdAt!: Date;
}
