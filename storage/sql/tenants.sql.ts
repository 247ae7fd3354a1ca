const READ = "$1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9";

/** As `get`, for the table `$9` of any tenant beside `main`. */
export const TENANT_GET = `select kontract.tenant_get(${READ}, $10) as r`;

/** As `get_many`, for the table `$9`. */
export const TENANT_GET_MANY = `select rows, snap, inc, replay
  from kontract.tenant_get_many(${READ}, $10)`;

/** As `put`, for the table `$11`. */
export const TENANT_PUT =
  `select kontract.tenant_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
  $14, $15::text::jsonb) as r`;

/** As `put_many`, for the table `$11`. */
export const TENANT_PUT_MANY =
  `select kontract.tenant_put_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
  $14, $15, $16, $17) as r`;

/** Makes tables: the tenant's advisory lock and that of templates; READ COMMITTED, asserted. */
export const CREATE_TENANT = `select kontract.create_tenant($1, $2, $3, $4) as done`;

/** Drops tables: the locks of CREATE_TENANT, each table's advisory lock, then the tables themselves. */
export const DROP_TENANT = `select kontract.drop_tenant($1, $2, $3, $4) as done`;

/** No lock; tenants by primary key. */
export const LIST_TENANTS = `select kontract.list_tenants($1, $2, $3, $4, $5) as tenants`;
