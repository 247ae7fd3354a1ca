/**
 * Nodes of a file that a step of the build looks at one by one. Which ones these are is a matter of syntax
 * alone, and a file that is not edited keeps its tree between builds: they are looked for once in it.
 *
 * @module
 */
import ts from "typescript";

/** One choice of nodes. */
export class SyntaxPick<N extends ts.Node> {
  readonly #wanted: (node: ts.Node) => node is N;
  readonly #skipped: (node: ts.Node) => boolean;
  readonly #found: WeakMap<ts.SourceFile, readonly N[]> = new WeakMap();

  /** Both decide by syntax, and `skipped` leaves a node out with all that is in it. */
  constructor(
    wanted: (node: ts.Node) => node is N,
    skipped: (node: ts.Node) => boolean = () => false,
  ) {
    this.#wanted = wanted;
    this.#skipped = skipped;
  }

  /** Those of a file, an outer one before what is in it. The file's nodes know their parents by then. */
  of(source: ts.SourceFile): readonly N[] {
    const known = this.#found.get(source);
    if (known !== undefined) return known;
    const found: N[] = [];
    const visit = (node: ts.Node): void => {
      if (this.#skipped(node)) return;
      if (this.#wanted(node)) found.push(node);
      ts.forEachChild(node, visit);
    };
    ts.forEachChild(source, visit);
    this.#found.set(source, found);
    return found;
  }
}
