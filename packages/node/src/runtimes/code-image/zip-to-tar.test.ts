import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { pack } from 'tar-stream';
import { expect, test } from 'vitest';
import { UNPACK_LIMITS } from './limits.ts';
import { isCut, zipToTar } from './zip-to-tar.ts';

test('zipToTar: fails as a cut, and breaks nothing later, when the reader of the tar has gone', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const path = join(dir.path, 'code.zip');
  const bytes = zipSync({ 'main.py': new Uint8Array(8 * 1024 * 1024) }, { level: 0 });
  await writeFile(path, bytes);
  for (let round = 0; round < 20; round++) {
    const tar = pack();
    tar.destroy();
    const failure = await zipToTar(path, tar, { limits: UNPACK_LIMITS, packedBytes: bytes.length }).catch(
      (error: unknown) => error,
    );
    expect(isCut(failure)).toBe(true);
    // What was still being read of the file ends now; vitest fails a test with an error that nobody caught.
    await readFile(path);
  }
});
