import { describe, expect, test } from 'vitest';
import { MessageError } from './errors.ts';
import { parseContent } from './parse.ts';
import type { MessageType } from './schema/index.ts';
import { programContent } from './testing.ts';

const HASH = 'a'.repeat(64);
const base = { address: '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef', time: 1 };

function read<T extends MessageType>(type: T, content: unknown) {
  return parseContent(type, JSON.stringify(content));
}

function entries(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, '']));
}

describe('parseContent', () => {
  test('parseContent: fills in defaults, when a PROGRAM leaves them out', () => {
    const program = read('PROGRAM', programContent());
    expect(program.resources).toEqual({ vcpus: 1, memory: 128, seconds: 1 });
    expect(program.runtime.use_latest).toBe(true);
    expect(program.code.use_latest).toBe(false);
    expect(program.volumes).toEqual([]);
    expect(program.environment).toEqual({
      reproducible: false,
      internet: false,
      aleph_api: false,
      shared_cache: false,
    });
    expect('metadata' in program).toBe(false);
  });

  test('parseContent: takes null for absent, when a member is optional', () => {
    const program = read(
      'PROGRAM',
      programContent({ variables: null, metadata: null, on: { http: true, message: null } }),
    );
    expect(program.variables).toBeUndefined();
    expect(program.on.message).toBeUndefined();
  });

  test('parseContent: ignores extra members, when code, runtime, resources or environment has them', () => {
    const extra = { unheard_of: 1 };
    const program = read(
      'PROGRAM',
      programContent({
        code: { encoding: 'zip', entrypoint: 'a:b', ref: HASH, ...extra },
        runtime: { ref: HASH, comment: '', ...extra },
        resources: extra,
        environment: extra,
      }),
    );
    expect(JSON.stringify(program)).not.toContain('unheard_of');
  });

  test('parseContent: keeps the three kinds of volume apart, when a PROGRAM has them', () => {
    const volumes = [
      { mount: '/a', ref: HASH },
      { mount: '/b', ephemeral: true, size_mib: 1000 },
      { mount: '/c', name: 'c', persistence: 'host', size_mib: 1_953_125, parent: { ref: HASH } },
    ];
    const program = read('PROGRAM', programContent({ volumes }));
    expect(program.volumes[0]).toEqual({ ...volumes[0], use_latest: true });
    expect(program.volumes[1]).toEqual(volumes[1]);
    expect(program.volumes[2]).toEqual({ ...volumes[2], parent: { ref: HASH, use_latest: true } });
  });

  test('parseContent: drops unknown members, when a STORE has them', () => {
    const store = read('STORE', { ...base, item_type: 'storage', item_hash: HASH, extra_fields: { a: 1 }, odd: 1 });
    expect(store).toEqual({ ...base, item_type: 'storage', item_hash: HASH });
  });

  test('parseContent: keeps nulls that are data, when a POST or an AGGREGATE has them', () => {
    expect(read('POST', { ...base, type: 't', content: { a: null } }).content).toEqual({ a: null });
    expect(read('AGGREGATE', { ...base, key: 'k', content: { a: null } }).content).toEqual({ a: null });
  });

  test('parseContent: accepts the limits themselves, when a PROGRAM reaches them', () => {
    const variables = { ...entries(255), ['k'.repeat(128)]: 'v'.repeat(4096) };
    const resources = { vcpus: 256, memory: 1_048_576, seconds: 315_360_000 };
    expect(read('PROGRAM', programContent({ variables, resources, metadata: entries(256) })).resources).toEqual(
      resources,
    );
  });

  test('parseContent: refuses "__proto__" as a member, when it stands where members are forbidden', () => {
    const text = `{"address":"a","time":1,"type":"t","__proto__":{"polluted":true}}`;
    expect(() => parseContent('POST', text)).toThrow(MessageError);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
});
