import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocketServer } from 'ws';
import * as z from 'zod';

const startedSchema = z.object({ port: z.number() });

/**
 * Starts what a broadcast costs at least with the usual library, in a process of its own: each body that is posted is
 * sent to every client by `ws`, unread, unchecked and not stored.
 */
export async function startBareBroadcast(): Promise<{ url: string } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const child = fork(import.meta.filename, ['serve']);
  const exit = once(child, 'exit');
  stack.defer(async () => {
    if (child.connected) child.disconnect();
    await exit;
  });
  const [message] = await Promise.race([once(child, 'message'), exit.then(() => [undefined])]);
  const { port } = startedSchema.parse(message);
  const owned = stack.move();
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** In that process: ends when its parent does. */
async function serve(): Promise<void> {
  const gone = once(process, 'disconnect');
  const server = createServer(async (request, response) => {
    const body = await text(request);
    for (const client of sockets.clients) client.send(body);
    response.setHeader('content-length', 0).end();
  });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.send?.({ port: (server.address() as AddressInfo).port });
  await gone;
  process.exit();
}

if (process.argv[2] === 'serve') await serve();
