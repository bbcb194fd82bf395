import { once } from 'node:events';
import { chmod, open } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { VmletError } from '../errors.ts';

const SOCKET_FILE = 'state.sock';
/** Device state of a machine is some 100 KiB; more than this was not written by QEMU for a machine of ours. In bytes. */
const MAX_STATE_BYTES = 16 * 1024 * 1024;

/** Takes the device state that QEMU sends when it saves a machine. Disposing of it removes its socket. */
export interface StateReceiver extends AsyncDisposable {
  /** The socket: QEMU's user may connect to it where it is shown the file, and nobody else finds it. */
  readonly path: string;
  /** Resolves with all that the one who connects says. */
  receive(): Promise<Buffer>;
}

/**
 * Opens a receiver in a folder that only the node can enter. QEMU 7.2 saves to no descriptor that it has inherited: it
 * wants it sent over a socket, which Node.js cannot do.
 */
export async function openStateReceiver(folder: string): Promise<StateReceiver> {
  await using stack = new AsyncDisposableStack();
  // A socket's path is bounded by 107 bytes, a folder's is not: it is reached by its descriptor.
  const handle = await open(folder, 'r');
  stack.defer(() => handle.close());
  const server = createServer();
  server.listen({ path: `/proc/self/fd/${handle.fd}/${SOCKET_FILE}` });
  stack.defer(() => closed(server));
  await once(server, 'listening');
  const path = join(folder, SOCKET_FILE);
  await chmod(path, 0o666);
  const owned = stack.move();
  return { path, receive: () => receiveFrom(server), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function receiveFrom(server: Server): Promise<Buffer> {
  const [socket] = (await once(server, 'connection')) as [Socket];
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of socket) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_STATE_BYTES) {
      throw new VmletError('SNAPSHOT_FAILED', { operands: { found: `a state of over ${MAX_STATE_BYTES} bytes` } });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
