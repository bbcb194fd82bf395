import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import {
  booleanParam,
  choiceParam,
  intParam,
  listParam,
  readParams,
  secondsParam,
  textsParam,
} from './query-params.ts';

const schema = z.object({
  hashes: textsParam().optional(),
  types: listParam(choiceParam(['POST', 'STORE']), { wanted: 'one of POST, STORE' }).optional(),
  page: intParam({ min: 1, max: 9 }).default(1),
  startDate: secondsParam().default(0),
  excludeContent: booleanParam().default(false),
  cursor: z.string().optional(),
});

test('parameters: lists come with commas, brackets and repetitions', () => {
  const forms = [
    { hashes: 'a,b,c' },
    { 'hashes[]': ['a', 'b', 'c'] },
    { 'hashes[]': 'a,b', hashes: 'c' },
    { 'hashes[0]': 'a', 'hashes[1]': 'b', 'hashes[2]': 'c' },
    { hashes: ['a', 'b', 'b,c,,'] },
  ];
  for (const form of forms) expect(readParams(schema, form).hashes).toEqual(['a', 'b', 'c']);
});

test('parameters: an empty one counts as none, but where it says something', () => {
  const query = { hashes: '', page: '', cursor: '', other: 'x' };
  const none = { page: 1, startDate: 0, excludeContent: false };
  expect(readParams(schema, query)).toEqual(none);
  expect(readParams(schema, query, { keepEmpty: ['cursor'] })).toEqual({ ...none, cursor: '' });
});

test('parameters: a refusal names the parameter, what was found and what is expected', () => {
  const refused = [
    [{ page: '0' }, "Cannot read the parameter 'page': found '0', expected a whole number from 1 to 9"],
    [{ page: '1.5' }, "Cannot read the parameter 'page': found '1.5', expected a whole number from 1 to 9"],
    [{ startDate: '-1' }, "Cannot read the parameter 'startDate': found '-1', expected seconds since 1970"],
    [{ excludeContent: 'no' }, "Cannot read the parameter 'excludeContent': found 'no', expected true or false"],
    [
      { types: 'POST,NOTE' },
      "Cannot read the parameter 'types': found 'POST,NOTE', expected at most 500 values, each one of POST, STORE",
    ],
  ] as const;
  for (const [query, message] of refused) expect(() => readParams(schema, query)).toThrow(message);
});

test('parameters: whatever is sent is read, or refused as malformed', () => {
  const name = fc.constantFrom('hashes', 'types[]', 'page', 'startDate', 'excludeContent', 'cursor', '__proto__', '[]');
  const value = fc.oneof(fc.string(), fc.array(fc.string()), fc.double().map(String));
  const numRuns = process.env.VMLET_TEST_ALL ? 100_000 : 2000;
  fc.assert(
    fc.property(fc.dictionary(name, value), (query) => {
      try {
        readParams(schema, query);
      } catch (error) {
        expect(error).toBeInstanceOf(VmletError);
        expect(error).toMatchObject({ code: 'API_QUERY_MALFORMED', entry: { status: 422 } });
      }
    }),
    { numRuns },
  );
});
