import { expect, test } from 'vitest';
import { CliError } from './errors.ts';
import { uploadLimits } from './upload-limits.ts';

test('uploadLimits: collects sizes by kind, and refuses what is none', () => {
  const GiB = 1024 ** 3;
  expect(uploadLimits('unsigned=0,signed=200MiB', uploadLimits('signed=1KiB, trusted=8GiB'))).toEqual({
    ...{ unsigned: 0, signed: 200 * 1024 ** 2, trusted: 8 * GiB },
  });
  for (const text of ['', 'signed', 'signed=', 'signed=5', 'all=5MiB', 'signed=5MB', 'signed=-1MiB', 'car=2000GiB']) {
    expect(() => uploadLimits(text)).toThrow(CliError);
  }
});
