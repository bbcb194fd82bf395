import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { ROOT } from './cruise.ts';

/** A text file of the repository. */
export interface Source {
  /** From the root, with slashes. */
  path: string;
  text: string;
}

/** All text files that are committed or would be by `git add .`, but for the lock file. */
export function textFiles(pattern: RegExp = /./): Source[] {
  const listed = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' });
  const paths = [...new Set(listed.split('\0'))].filter((path) => path !== '' && pattern.test(path));
  return paths.flatMap((path) => {
    try {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return text.includes('\0') ? [] : [{ path, text }];
    } catch {
      // Known to git, gone from the tree, or a link to a folder.
      return [];
    }
  });
}

/** Whether a TypeScript or Python file is a test or serves tests only. */
export function isTest(path: string): boolean {
  return /\.test\.ts$|\/testing\.ts$|\/compliance[a-z-]*\.ts$|\/test\/|^tests\/|^bench\//.test(path);
}

/** Parses TypeScript; every node knows its parent. */
export function parse({ path, text }: Source): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
}

/** Calls `visit` for a node and all below it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** `path:line` of a node, for a person. */
export function placeOf(node: ts.Node): string {
  const file = node.getSourceFile();
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
