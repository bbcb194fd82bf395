/** Material the tests of this package share. */
import { readdirSync, readFileSync } from 'node:fs';

const REFERENCE = new URL('../vectors/reference/', import.meta.url);

/** Every real message of `vectors/reference`, by file name without its ending. */
export function referenceMessages(): [string, Record<string, unknown>][] {
  return readdirSync(REFERENCE)
    .filter((name) => name.endsWith('.json'))
    .map((name) => [name.slice(0, -5), JSON.parse(readFileSync(new URL(name, REFERENCE), 'utf8'))]);
}

/** The members of `row` that are broadcast, nulls included. */
export function broadcastMembers(row: Record<string, unknown>): Record<string, unknown> {
  const { content, confirmed, confirmations, ...members } = row;
  return members;
}

/** A generator of numbers in 0..1 that gives the same sequence for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const HASH = 'a'.repeat(64);
const ADDRESS = '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef';

/** The smallest PROGRAM content, with `changes` on top. */
export function programContent(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    address: ADDRESS,
    time: 1,
    type: 'vm-function',
    allow_amend: false,
    environment: {},
    resources: {},
    code: { encoding: 'zip', entrypoint: 'main:app', ref: HASH },
    runtime: { ref: HASH, comment: '' },
    on: { http: true },
    ...changes,
  };
}

/** The smallest INSTANCE content, with `changes` on top. */
export function instanceContent(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    address: ADDRESS,
    time: 1,
    allow_amend: false,
    environment: {},
    resources: {},
    rootfs: { parent: { ref: HASH }, persistence: 'host', size_mib: 20_000 },
    ...changes,
  };
}
