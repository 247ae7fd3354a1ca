import { backend, env, perms } from "@kontract/kontract";

/**
 * Which companies are in the house: the business of its own administrators, those of `main`. A company is a
 * tenant with tables of its own. An administrator of a company is refused here by Kontract itself.
 */
export class Companies {
  /// Moves a company in; `false` where it is in the house already.
  ///
  /// @throws {ValidationError} for a name with more than a-z, 0-9 and -
  @backend({ ugroup: "admin", perm: perms.R__, egroup: "companies" })
  static async moveIn(company: string): Promise<boolean> {
    return await env.tenants.create(company);
  }

  /// Moves a company out, with everything that was said in its rooms and everybody who signed up.
  @backend({ ugroup: "admin", perm: perms.R__, egroup: "companies" })
  static async moveOut(company: string): Promise<boolean> {
    return await env.tenants.drop(company);
  }

  /// The companies in the house, by name.
  @backend({ ugroup: "admin", perm: perms.R__, readOnly: true, egroup: "companies" })
  static async companies(): Promise<string[]> {
    return (await env.tenants.list()).map(({ name }) => name);
  }
}
