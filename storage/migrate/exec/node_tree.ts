/**
 * What a parsed query is made of, read from PostgreSQL's own tree of it (`pg_rewrite.ev_action`).
 *
 * The tree is text: `{NODE :field value …}`, lists in round brackets, and a backslash before whatever in a
 * name could be taken for either. So each node and each number behind a field is seen as it is; a name that
 * pretends to be a field can add to what is found, and so be refused, but hide nothing.
 *
 * What is not known here is refused: a later version of PostgreSQL may have nodes that do something else.
 *
 * @module
 */

/** What was found. */
export interface TreeContents {
  /** Node types that a query of ours may not have. */
  readonly foreignNodes: ReadonlySet<string>;
  /** Numbers of functions, operators included as `operators`. */
  readonly functions: ReadonlySet<number>;
  readonly operators: ReadonlySet<number>;
  readonly relations: ReadonlySet<number>;
  readonly types: ReadonlySet<number>;
  /** Whether a row as a whole is a value: a VAR of column 0. */
  readonly wholeRows: boolean;
}

/** Node types of a plain SELECT, under the names that versions 14 to 18 give them. */
const NODES: ReadonlySet<string> = new Set(
  ("QUERY ALIAS FROMEXPR JOINEXPR RANGETBLREF TARGETENTRY RTE RANGETBLENTRY RTEPERMISSIONINFO RTEPERMINFO " +
    "RANGETBLFUNCTION VAR CONST FUNCEXPR NAMEDARGEXPR OPEXPR DISTINCTEXPR NULLIFEXPR SCALARARRAYOPEXPR " +
    "BOOLEXPR SUBLINK RELABELTYPE COERCEVIAIO ARRAYCOERCEEXPR COLLATEEXPR COLLATE CASE CASEEXPR WHEN CASEWHEN " +
    "CASETESTEXPR ARRAY ARRAYEXPR ROW ROWEXPR ROWCOMPARE ROWCOMPAREEXPR COALESCE COALESCEEXPR MINMAX MINMAXEXPR " +
    "NULLTEST BOOLEANTEST AGGREF GROUPINGFUNC WINDOWFUNC WINDOWCLAUSE SORTGROUPCLAUSE GROUPINGSET " +
    "SUBSCRIPTINGREF FIELDSELECT COMMONTABLEEXPR CTESEARCHCLAUSE CTECYCLECLAUSE SETOPERATIONSTMT")
    .split(" "),
);

const FUNCTION_FIELDS = new Set([":funcid", ":opfuncid", ":aggfnoid", ":winfnoid", ":elemfuncid"]);
const OPERATOR_FIELDS = new Set([":opno", ":opnos", ":eqop", ":sortop"]);
const RELATION_FIELDS = new Set([":relid"]);
const TYPE_FIELDS = new Set(
  (":vartype :consttype :funcresulttype :opresulttype :resulttype :aggtype :wintype :array_typeid " +
    ":element_typeid :row_typeid :casetype :coalescetype :minmaxtype :refcontainertype :refelemtype " +
    ":refrestype :typeId :ctecoltypes :coltypes :colTypes :funccoltypes :aggargtypes").split(" "),
);

/** Reads a tree. */
export function readTree(tree: string): TreeContents {
  const found = {
    foreignNodes: new Set<string>(),
    functions: new Set<number>(),
    operators: new Set<number>(),
    relations: new Set<number>(),
    types: new Set<number>(),
    wholeRows: false,
  };
  const tokens = tokensOf(tree);
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token === "{" && !NODES.has(tokens[i + 1] ?? "")) {
      found.foreignNodes.add(tokens[i + 1] ?? "");
    }
    if (token === ":varattno" && tokens[i + 1] === "0") found.wholeRows = true;
    const into = FUNCTION_FIELDS.has(token)
      ? found.functions
      : OPERATOR_FIELDS.has(token)
      ? found.operators
      : RELATION_FIELDS.has(token)
      ? found.relations
      : TYPE_FIELDS.has(token)
      ? found.types
      : null;
    if (into !== null) { for (const number of numbersAt(tokens, i + 1)) into.add(number); }
  }
  return found;
}

/** A number, a list `(o 1 2)` of them, or none (`<>`). 0 says that there is none as well. */
function numbersAt(tokens: readonly string[], at: number): readonly number[] {
  const list = tokens[at] === "(" && tokens[at + 1] === "o";
  const end = list ? tokens.indexOf(")", at) : at + 1;
  return tokens.slice(list ? at + 2 : at, end).map(Number).filter((n) =>
    Number.isInteger(n) && n > 0
  );
}

/** Words and brackets; a backslash keeps what follows it inside the word. */
function tokensOf(tree: string): readonly string[] {
  return tree.match(/[{}()]|(?:\\[\s\S]|[^\s{}()\\])+/g) ?? [];
}
