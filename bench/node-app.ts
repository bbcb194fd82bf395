import { existsSync } from 'node:fs';
import { cp, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeWorkFolder, resolvePaths, run } from '@vmlet/host';

/** Packages that people use, at exact versions: 21 MB in 6,300 files, and beside them one that only development needs. */
const MANIFEST = {
  name: 'bench-app',
  private: true,
  type: 'module',
  main: 'server.js',
  dependencies: {
    express: '5.1.0',
    hono: '4.9.0',
    kysely: '0.28.5',
    lodash: '4.17.21',
    luxon: '3.7.1',
    rxjs: '7.8.2',
    zod: '4.1.5',
  },
  devDependencies: { prettier: '3.6.2' },
};
const SERVER = `
import express from 'express';
import lodash from 'lodash';
import { DateTime } from 'luxon';
import { z } from 'zod';

const app = express();
app.get('/', (request, response) => {
  const chunks = lodash.chunk([1, 2, 3], 2);
  response.json({ chunks, year: DateTime.utc().year, ok: z.boolean().parse(true) });
});
export default app;
`;

/**
 * A copy of an app of 20 MB, with its node_modules as npm installs them. They come from the registry once, and are kept
 * in the shared cache.
 * @param folder an empty one
 */
export async function makeNodeApp(folder: string): Promise<void> {
  const kept = join(resolvePaths().cache, 'bench', 'node-app-1');
  if (!existsSync(kept)) {
    await mkdir(join(resolvePaths().cache, 'bench'), { recursive: true });
    await using work = await makeWorkFolder(join(resolvePaths().cache, 'bench'), 'node-app');
    await writeFile(join(work.path, 'package.json'), JSON.stringify(MANIFEST));
    await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: work.path });
    await rename(work.path, kept);
  }
  await cp(kept, folder, { recursive: true, verbatimSymlinks: true });
  await writeFile(join(folder, 'server.js'), SERVER);
}
