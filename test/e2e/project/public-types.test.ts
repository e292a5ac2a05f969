/** The types of the package: whatever a public declaration names can be named by who uses it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import ts from "typescript-for-docs";
import { packageRoot } from "../../../mesh/process/identity.js";

const DIST = join(packageRoot(), "dist");
const GATES = ["index", "browser", "testing"].map((gate) => join(DIST, `${gate}.d.ts`));

test("each of our types that a public declaration names is exported, but for what is marked @internal", () => {
  const program = ts.createProgram(GATES, {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: ["node"],
    skipLibCheck: true,
  });
  const checker = program.getTypeChecker();
  const meant = (symbol: ts.Symbol): ts.Symbol =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const isOurs = (node: ts.Node): boolean => node.getSourceFile().fileName.startsWith(DIST);

  /** Each with whether it is there as a type alone, so that nobody calls its constructor. */
  const exported = new Map<ts.Symbol, boolean>();
  for (const gate of GATES) {
    const source = program.getSourceFile(gate);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    assert.ok(module, `${gate}: build first`);
    for (const each of checker.getExportsOfModule(module)) {
      const isType = each.declarations?.every((node) => ts.isExportSpecifier(node) && isTypeOnly(node)) ?? false;
      exported.set(meant(each), isType && exported.get(meant(each)) !== false);
    }
  }

  const missing = new Set<string>();
  const visit = (node: ts.Node, from: string, isType: boolean): void => {
    if (isInternal(node) || (isType && ts.isConstructorDeclaration(node))) return;
    const name = nameIn(node);
    const symbol = name === undefined ? undefined : checker.getSymbolAtLocation(name);
    const target = symbol === undefined ? undefined : meant(symbol);
    const isNamed = target === undefined || exported.has(target) || target.flags & ts.SymbolFlags.TypeParameter;
    if (!isNamed && target.declarations?.some((each) => isOurs(each) && isExported(each)))
      missing.add(`${from} names ${target.name}`);
    ts.forEachChild(node, (child) => visit(child, from, isType));
  };
  for (const [symbol, isType] of exported) {
    for (const node of symbol.declarations ?? []) if (isOurs(node)) visit(node, symbol.name, isType);
  }
  assert.ok(exported.size > 80, `only ${exported.size} were looked at`);
  assert.deepEqual([...missing].sort(), []);
});

function isTypeOnly(node: ts.ExportSpecifier): boolean {
  return node.isTypeOnly || node.parent.parent.isTypeOnly;
}

function isInternal(node: ts.Node): boolean {
  const isPrivate = ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === PRIVATE);
  return isPrivate === true || ts.getJSDocTags(node).some(({ tagName }) => tagName.text === "internal");
}

/** What its own file keeps for itself is a part of what it exports. */
function isExported(node: ts.Declaration): boolean {
  return (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0;
}

const PRIVATE = ts.SyntaxKind.PrivateKeyword;

/** The name in a node that refers to a type. */
function nameIn(node: ts.Node): ts.Node | undefined {
  if (ts.isTypeReferenceNode(node)) return node.typeName;
  if (ts.isExpressionWithTypeArguments(node)) return node.expression;
  return ts.isImportTypeNode(node) ? node.qualifier : undefined;
}
