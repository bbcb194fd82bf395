/** Which version of Node.js a program asks for, in the words of nvm and npm. */
import { readFileSync, statSync } from 'fs';
import { resolve } from 'path';
import { compareVersions, readRange, type Version } from './version-range.ts';

/** What a program asks for, as it is written. */
export interface WantedNode {
  text: string;
  /** The file, and the member of it: for messages. */
  where: string;
  /** A file of its own is an order; `engines` is what npm only warns of. */
  isOrder: boolean;
}

/** Files of one line, in the order in which they are looked for. */
const FILES = ['.nvmrc', '.node-version'];
const MAX_FILE_BYTES = 1_048_576;
/** The names that long-term releases have, by their major version. */
const RELEASES: Readonly<Record<string, number>> = {
  ...{ argon: 4, boron: 6, carbon: 8, dubnium: 10, erbium: 12, fermium: 14, gallium: 16, hydrogen: 18, iron: 20 },
  ...{ jod: 22, krypton: 24 },
};
const LONG_TERM = Object.values(RELEASES).sort((a, b) => b - a);
const NEWEST = ['node', 'stable', 'current', 'latest'];
/** What starts a program that asks for nothing. */
const DEFAULT = ['default', 'system'];

/** The first that asks, of `.nvmrc`, `.node-version`, and `engines.node` of package.json; undefined where none does. */
export function wantedNode(folder: string): WantedNode | undefined {
  for (const name of FILES) {
    const text = firstLine(read(resolve(folder, name)));
    if (text !== undefined) return { text, where: name, isOrder: true };
  }
  const text = engine(read(resolve(folder, 'package.json')));
  return text === undefined ? undefined : { text, where: 'engines.node of package.json', isOrder: false };
}

/**
 * The newest of `versions` that is meant by `text`.
 * @param running the version that is used where nothing else is said
 */
export function newestWanted<T extends { version: Version }>(
  text: string,
  versions: readonly T[],
  running: T,
): T | undefined {
  if (DEFAULT.includes(text)) return running;
  const fits = meaning(text);
  return versions
    .filter(({ version }) => fits(version))
    .sort((a, b) => compareVersions(b.version, a.version))
    .shift();
}

/** What nvm calls a version, and else what npm calls a range; what is neither fits nothing. */
function meaning(text: string): (version: Version) => boolean {
  const [, release = ''] = /^lts\/(.*)$/i.exec(text) ?? [];
  const back = /^-(\d+)$/.exec(release);
  if (NEWEST.includes(text)) return () => true;
  if (release === '*') return ([major]) => LONG_TERM.includes(major);
  if (back !== null) return ([major]) => major === LONG_TERM[Number(back[1])];
  if (release !== '') return ([major]) => major === RELEASES[release.toLowerCase()];
  return readRange(text) ?? (() => false);
}

/** What is not there, or no file, says nothing. */
function read(path: string): string {
  try {
    const stat = statSync(path);
    return stat.isFile() && stat.size <= MAX_FILE_BYTES ? readFileSync(path, 'utf8') : '';
  } catch {
    return '';
  }
}

/** Without comments, as nvm reads it. */
function firstLine(text: string): string | undefined {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .find((line) => line !== '');
}

/** A manifest that does not parse is told of when the program is looked for. */
function engine(text: string): string | undefined {
  try {
    const { engines } = Object(JSON.parse(text)) as { engines?: unknown };
    const { node } = Object(engines) as { node?: unknown };
    return typeof node === 'string' && node.trim() !== '' ? node.trim() : undefined;
  } catch {
    return undefined;
  }
}
