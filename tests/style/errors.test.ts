import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { CliError, type CliErrorCode } from '../../packages/cli/src/errors.ts';
import { MessageError, type MessageErrorCode } from '../../packages/messages/src/errors.ts';
import { type ErrorCode, VmletError } from '../../packages/node/src/errors.ts';
import { type ErrorEntry, readCatalogues, renderPage } from '../../tools/generate-errors.ts';
import { ROOT } from './cruise.ts';
import { isTest, parse, placeOf, textFiles, walk } from './sources.ts';

const catalogues = await readCatalogues();
const entries = catalogues.flatMap(({ package: name, entries: all }) =>
  Object.entries(all).map(([code, entry]) => ({ name: `${name}/${code}`, package: name, code, entry })),
);

/** The classes that raise errors by code, and the catalogue they read. */
const RAISERS: Record<string, string> = { VmletError: 'node', MessageError: 'messages', CliError: 'cli' };

const CONTRACTION = /\b\w+n['’]t\b|\b(it|that|what|there|here|let|who|he|she)['’]s\b|\b\w+['’](re|ve|ll|m)\b/i;
/** What names a thing, rather than describing a state: it stands in quotes, whatever its value. */
const NAMES = /^(path|dir|ref|host|domain|hash|itemHash|fileHash|address|sender|command|machine|entrypoint|program)$/;

interface RaiseOptions {
  operands: Record<string, string>;
  cause: Error;
}

/** Raises a code by its own class, with every operand given. */
function raise(name: string, code: string, { operands, cause }: RaiseOptions): Error {
  if (name === 'node') return new VmletError(code as ErrorCode, { operands, cause });
  if (name === 'cli') return new CliError(code as CliErrorCode, { operands, cause });
  return new MessageError(code as MessageErrorCode, operands, { cause });
}

function placesOf(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}

/** What is wrong with the words of an entry. */
function faultsOf({ template, hint, title }: ErrorEntry): string[] {
  const faults: string[] = [];
  const all = [template, hint, title ?? ''].join('\n');
  if (!/^Cannot [a-z]+ [^:]+: .+, expected .+$/.test(withValues(template))) faults.push('form of the template');
  if ([template, hint].some((text) => /[.!?]$/.test(text.trim())) || /[.!?]$/.test(title ?? ''))
    faults.push('full stop');
  if (CONTRACTION.test(all)) faults.push('contraction');
  if (/\binvalid\b/i.test(all)) faults.push('"invalid" says nothing');
  if (template.includes('\n') || /\s{2}/.test(template)) faults.push('more than one line');
  for (const { 0: whole, 1: name = '', index } of template.matchAll(/\{(\w+)\}/g)) {
    if (NAMES.test(name) && !isQuoted(template.slice(0, index))) faults.push(`quotes of ${whole}`);
  }
  return faults;
}

/** Whether a quotation is open at the end of `before`; an apostrophe inside a word opens none. */
function isQuoted(before: string): boolean {
  return (before.replace(/\w'\w/g, '').match(/["']/g)?.length ?? 0) % 2 === 1;
}

function withValues(template: string): string {
  return template.replace(/\{\w+\}/g, 'value');
}

describe('error catalogues', () => {
  test.each(entries)('$name: is worded as the house does', ({ entry }) => {
    expect(faultsOf(entry)).toEqual([]);
  });

  test.each(entries)('$name: is its own code, and has no open place when raised', ({ package: name, code, entry }) => {
    const places = placesOf(`${entry.template} ${entry.hint}`);
    const operands = Object.fromEntries(places.map((place) => [place, `<${place}>`]));
    const cause = new Error('reason');
    const error = raise(name, code, { operands, cause });
    expect(error).toMatchObject({ code, cause });
    expect(error.message).not.toMatch(/[{}?]/);
    for (const place of placesOf(entry.template)) expect(error.message).toContain(`<${place}>`);
  });

  test('codes: are in capitals and belong to one catalogue, all of them', () => {
    const codes = entries.map(({ code }) => code);
    expect(codes.filter((code) => !/^[A-Z]+(_[A-Z0-9]+)*$/.test(code))).toEqual([]);
    const node = entries.filter(({ package: name }) => name === 'node').map(({ code }) => code);
    // Catalogues cut into files are spread into one: a code that stands in two of them would hide one.
    const keys = textFiles(/^packages\/node\/src\/errors\/.*\.ts$/)
      .filter(({ path }) => !isTest(path))
      .flatMap(({ text }) => [...text.matchAll(/^ {2}([A-Z][A-Z0-9_]+): entry\(/gm)].map((match) => match[1]));
    expect(keys.toSorted()).toEqual(node.toSorted());
  });

  test('raised errors: have a known code, and all operands of its template', () => {
    expect(raised.length).toBeGreaterThan(20);
    const faults = raised.flatMap(({ place, name, code, operands }) => {
      const known = catalogues.find((one) => one.package === name)?.entries[code];
      if (known === undefined) return [`${place}: ${code} is not in the catalogue of ${name}`];
      // Operands that are put together elsewhere are seen by the test of that code.
      const missing =
        operands === undefined
          ? []
          : placesOf(`${known.template} ${known.hint}`).filter((place) => !operands.includes(place));
      return missing.map((operand) => `${place}: ${code} without "${operand}"`);
    });
    expect(faults).toEqual([]);
  });

  test('codes: are raised somewhere, all of them', () => {
    const shipped = textFiles(/^packages\/.*\.ts$/).filter(
      ({ path }) => !isTest(path) && !/\/errors(\.ts|\/)/.test(path),
    );
    const text = shipped.map((source) => source.text).join('\n');
    // Raised by the error class itself for what nobody expected.
    const unused = entries.filter(({ code }) => code !== 'INTERNAL' && !new RegExp(`['"]${code}['"]`).test(text));
    expect(unused.map(({ name }) => name)).toEqual([]);
  });

  test('docs/errors.md: is what tools/generate-errors.ts writes', () => {
    expect(readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')).toBe(renderPage(catalogues));
  });
});

interface Raised {
  place: string;
  name: string;
  code: string;
  /** Undefined where they are not written out. */
  operands: string[] | undefined;
}

const raised: Raised[] = textFiles(/^packages\/.*\.ts$/)
  .filter(({ path }) => !isTest(path))
  .flatMap((source) => {
    const found: Raised[] = [];
    walk(parse(source), (node) => {
      if (!ts.isNewExpression(node)) return;
      const name = RAISERS[node.expression.getText()];
      const [code, context] = node.arguments ?? [];
      if (name === undefined || code === undefined || !ts.isStringLiteral(code)) return;
      found.push({ place: placeOf(node), name, code: code.text, operands: operandsOf(name, context) });
    });
    return found;
  });

/** The names of the operands where they are written out in the call, or undefined. */
function operandsOf(name: string, context: ts.Expression | undefined): string[] | undefined {
  if (context === undefined) return [];
  // MessageError takes operands as they are, the others as a member of the context.
  if (name === 'messages') return namesIn(context);
  if (!ts.isObjectLiteralExpression(context)) return undefined;
  if (context.properties.some(ts.isSpreadAssignment)) return undefined;
  const member = context.properties.find((property) => property.name?.getText() === 'operands');
  if (member === undefined) return [];
  return ts.isPropertyAssignment(member) ? namesIn(member.initializer) : undefined;
}

function namesIn(value: ts.Expression): string[] | undefined {
  if (!ts.isObjectLiteralExpression(value) || value.properties.some(ts.isSpreadAssignment)) return undefined;
  return value.properties.map((property) => property.name?.getText() ?? '');
}
