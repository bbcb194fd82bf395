import { describe, expect, test } from 'vitest';
import { findProgram } from './find-program.ts';
import type { ListedProgram } from './owner-schema.ts';

function listed(itemHash: string, name: string | null, createdMs: number): ListedProgram {
  const hash = itemHash.padEnd(64, '0') as ListedProgram['itemHash'];
  return {
    ...{ itemHash: hash, name, createdMs, address: '0x', runtime: { ref: hash, name: null }, code: { ref: hash } },
    ...{ entrypoint: 'main:app', memoryMiB: 256, state: 'asleep', inFlight: 0, served: 0, pid: null },
    ...{ startedMs: null, names: [] },
    ...{ url: 'http://u/', hostUrl: 'http://h/' },
  };
}

const programs = [listed('abcdef1', 'web', 1), listed('abcdef2', 'web', 2), listed('123456', 'abcdef', 3)];
const find = (text: string, strict = false) => findProgram(text, programs, { strict, nowMs: 10 }).createdMs;

describe('findProgram', () => {
  test('findProgram: takes a name, a start of a hash or a whole hash, when it is one program', () => {
    expect(find('abcdef1')).toBe(1);
    expect(find('123456')).toBe(3);
    expect(find('abcdef2'.padEnd(64, '0'))).toBe(2);
  });

  test('findProgram: takes the newest of a name, when it is not for good', () => {
    expect(find('web')).toBe(2);
    expect(() => find('web', true)).toThrow(/it can be abcdef200000 .*, abcdef100000 /);
  });

  test('findProgram: takes where a name leads, whatever else was called so, and a version of it', () => {
    const named = (version: number, current: boolean) => ({ name: 'web', version, current, url: '', hostUrl: '' });
    const [first, second, third] = programs;
    const versions = [
      { ...first, names: [named(1, true)] },
      { ...second, names: [named(2, false)] },
      { ...third, name: 'web' },
    ] as ListedProgram[];
    const among = (text: string) => findProgram(text, versions, { strict: true, nowMs: 10 }).createdMs;
    expect(among('web')).toBe(1);
    expect(among('web@2')).toBe(2);
    expect(() => among('web@3')).toThrow(/it is none of web,/);
  });

  test('findProgram: refuses, when a text means several or none', () => {
    expect(() => find('abcdef')).toThrow(/^Cannot tell which program/);
    expect(() => find('12345')).toThrow(/^Cannot find the program "12345": it is none of web, abcdef, expected/);
    expect(() => findProgram('x', [], { strict: false, nowMs: 0 })).toThrow('nothing is deployed');
  });
});
