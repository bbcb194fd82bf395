/** Runs what the load of any program runs, before one is known: for a snapshot of the launcher without a program. */
import { mkdtempSync, rmdirSync, unlinkSync, writeFileSync } from 'fs';
import type { AddressInfo } from 'net';
import { tmpdir } from 'os';
import { join } from 'path';
import { Connections } from './connections.ts';
import { findEntry } from './entrypoint.ts';
import { listenOn, makeServer } from './own-server.ts';
import { ownListener, type Prime } from './prime.ts';
import { importProgram } from './program.ts';
import { hasWebGlobals, webGlobals } from './web.ts';

/** Modules of Node's own that many programs load. */
const MODULES =
  'assert buffer child_process crypto dns events fs http https os path querystring stream tls url util vm zlib';

/** One of each kind; the first ends as CommonJS does, the second as an ES module with an import does. */
const PROGRAMS: ReadonlyArray<[string, string]> = [
  ['warm.cjs', "const { createServer } = require('http');\nmodule.exports = () => createServer;\n"],
  ['warm.mjs', "import { createServer } from 'http';\nexport default { fetch: () => createServer };\n"],
];

/** Leaves nothing behind but compiled code: no server, no file, no module of its own. */
export async function warmUp(prime: Prime): Promise<void> {
  for (const name of MODULES.split(' ')) require(name);
  await loadAndForget();
  await serveAndClose(prime, 'handler');
  if (hasWebGlobals()) await serveAndClose(prime, 'fetch');
}

async function loadAndForget(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'vmlet-warm-'));
  const argv = process.argv.slice(1);
  try {
    for (const [name, text] of PROGRAMS) {
      writeFileSync(join(folder, name), text);
      const entry = findEntry(name, folder);
      await importProgram(entry);
      delete require.cache[entry.path];
      unlinkSync(join(folder, name));
    }
  } finally {
    process.argv.splice(1, process.argv.length, ...argv);
    rmdirSync(folder);
  }
}

async function serveAndClose(prime: Prime, kind: 'fetch' | 'handler'): Promise<void> {
  const own = ownListener(kind === 'fetch' ? webGlobals() : undefined);
  const server = makeServer(prime.guard(own, own));
  const connections = new Connections(server);
  await listenOn(server, 0, { listen: server.listen, host: '127.0.0.1' });
  try {
    await prime.ownPath((server.address() as AddressInfo).port, [connections]);
  } finally {
    await new Promise<void>((resolve) => connections.close(resolve));
  }
}
