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
  readonly calls: readonly TreeCall[];
  readonly types: ReadonlySet<number>;
  /** Whether a row as a whole is a value: a VAR of column 0. */
  readonly wholeRows: boolean;
}

/** One call of a function by its name. */
export interface TreeCall {
  readonly id: number;
  /** Each argument where it is a constant whole number from 0 on, else null. */
  readonly constants: readonly (number | null)[];
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
/** What `x in (select …)` compares with; a parameter from outside is another kind. */
const PARAM_SUBLINK = "2";
const TYPE_FIELDS = new Set(
  (":vartype :consttype :funcresulttype :opresulttype :resulttype :aggtype :wintype :array_typeid " +
    ":element_typeid :row_typeid :casetype :coalescetype :minmaxtype :refcontainertype :refelemtype " +
    ":refrestype :paramtype :typeId :ctecoltypes :coltypes :colTypes :funccoltypes :aggargtypes")
    .split(" "),
);

/** Reads a tree. */
export function readTree(tree: string): TreeContents {
  const found = {
    foreignNodes: new Set<string>(),
    functions: new Set<number>(),
    operators: new Set<number>(),
    relations: new Set<number>(),
    calls: [] as TreeCall[],
    types: new Set<number>(),
    wholeRows: false,
  };
  const tokens = tokensOf(tree);
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token === "{") {
      const node = tokens[i + 1] ?? "";
      const compared = node === "PARAM" && tokens[i + 2] === ":paramkind" &&
        tokens[i + 3] === PARAM_SUBLINK;
      if (!NODES.has(node) && !compared) found.foreignNodes.add(node);
      if (node === "FUNCEXPR") found.calls.push(callAt(tokens, i));
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

/** The call whose node begins at `at`. */
function callAt(tokens: readonly string[], at: number): TreeCall {
  const [id = 0] = numbersAt(tokens, tokens.indexOf(":funcid", at) + 1);
  const constants: (number | null)[] = [];
  let own = false;
  for (let i = at, depth = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (depth === 1 && token.startsWith(":")) own = token === ":args";
    if (token === "{" || token === "(") {
      if (own && depth === 2) constants.push(constantAt(tokens, i));
      depth++;
    } else if ((token === "}" || token === ")") && --depth === 0) break;
  }
  return { id, constants };
}

/** The number of the `CONST` that begins at `at`: `:constvalue 4 [ 8 0 0 0 0 0 0 0 ]`, least byte first. */
function constantAt(tokens: readonly string[], at: number): number | null {
  if (tokens[at + 1] !== "CONST") return null;
  const value = tokens.indexOf(":constvalue", at);
  if (value < 0 || tokens[value + 2] !== "[") return null;
  const bytes = tokens.slice(value + 3, tokens.indexOf("]", value)).map((byte) =>
    Number(byte) & 255
  );
  return bytes.length === 8 ? bytes.reduceRight((sum, byte) => sum * 256 + byte, 0) : null;
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
