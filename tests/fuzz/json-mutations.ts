import fc from 'fast-check';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Path = readonly (string | number)[];

/** What a writer's slip, another language, or somebody who wants harm puts in the place of a value. */
export const ODD_VALUES: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e21,
  Number.MAX_SAFE_INTEGER,
  '',
  ' ',
  '0',
  'null',
  'x'.repeat(300),
  'x'.repeat(70_000),
  '\u0000',
  '\ud800',
  'line\nbreak',
  '../../etc/passwd',
  "'; DROP TABLE messages; --",
  '%s%n',
  '__proto__',
  'a'.repeat(64),
  'A'.repeat(64),
  `0x${'0'.repeat(40)}`,
  'QmYULJoNGPDmoRq4WNWTDTUvJGJv1hosox8H6vVd1kCsY8',
  'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  [],
  [null],
  ['a', 'b'],
  [[[[[[[[[]]]]]]]]],
  {},
  { toString: 1 },
  { hasOwnProperty: null, constructor: {}, valueOf: 'x' },
];

/** Every place in a value, the value itself left out. */
export function pathsOf(value: Json, base: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = [...base, Array.isArray(value) ? Number(key) : key];
    return [path, ...pathsOf(inner, path)];
  });
}

/** A copy with one place changed; `undefined` takes it away. */
export function withAt(value: Json, [key, ...rest]: Path, odd: Json | undefined): Json {
  if (key === undefined) return odd ?? null;
  const copy: Json = Array.isArray(value) ? [...value] : { ...(value as Record<string, Json>) };
  const holder = copy as Record<string | number, Json>;
  if (rest.length > 0) holder[key] = withAt(holder[key] ?? null, rest, odd);
  else if (odd === undefined) delete holder[key];
  else holder[key] = odd;
  return Array.isArray(copy) ? copy.filter((one) => one !== undefined) : copy;
}

/** Every value with one place taken away, or one odd value in one place, or one member that is not known. */
export function* singleMutations(value: Json): Generator<Json> {
  for (const path of pathsOf(value)) {
    for (const odd of [undefined, ...ODD_VALUES]) yield withAt(value, path, odd);
  }
  for (const key of ['unknown', '__proto__', 'toJSON']) {
    yield JSON.parse(`{"${key}":{"x":1},${JSON.stringify(value).slice(1)}`);
  }
}

/** Values with one to four places changed, to odd values or to any. */
export function mutationsOf(values: readonly Json[]): fc.Arbitrary<Json> {
  const odd = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...ODD_VALUES, undefined) },
    fc.jsonValue() as fc.Arbitrary<Json>,
  );
  const changes = fc.array(fc.tuple(fc.nat(), odd), { minLength: 1, maxLength: 4 });
  return fc.tuple(fc.constantFrom(...values), changes).map(([value, list]) =>
    list.reduce((changed: Json, [place, one]) => {
      const paths = pathsOf(changed);
      const path = paths[place % Math.max(paths.length, 1)];
      return path === undefined ? changed : withAt(changed, path, one);
    }, value),
  );
}
