import { connect, type Socket } from 'node:net';

/** One request as bytes, whose answer is expected to have the status. */
export interface Shot {
  readonly request: Buffer;
  readonly status: number;
}

/** A POST of JSON, as it goes over a kept connection. */
export function jsonPost(path: string, body: string): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n`;
  return Buffer.from(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/**
 * Sends every request once, over so many kept connections, each with one under way. Written for this: a general client
 * takes more of the processor than the node that it asks. Ends with an error at the first answer of another status.
 * @returns requests a second
 */
export async function shoot(url: string, shots: readonly Shot[], { connections }: { connections: number }) {
  const { hostname, port } = new URL(url);
  const queue = shots.values();
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(hostname, Number(port))));
  const startMs = performance.now();
  try {
    await Promise.all(sockets.map((socket) => drain(socket, queue)));
    return (shots.length / (performance.now() - startMs)) * 1000;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

function open(host: string, port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host, port, noDelay: true }, () => resolve(socket)).once('error', reject);
  return promise;
}

/** Sends the next request whenever an answer is whole, until there are no more. */
function drain(socket: Socket, queue: Iterator<Shot>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let shot: Shot | undefined;
  let received = '';
  const next = () => {
    const { value, done } = queue.next();
    if (done === true) return resolve();
    shot = value;
    received = '';
    socket.write(value.request);
  };
  socket.on('error', reject).on('close', () => reject(new Error('Cannot go on: the node closed a connection')));
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    const end = received.indexOf('\r\n\r\n');
    const length = /content-length: (\d+)/i.exec(received)?.[1];
    if (end < 0 || received.length < end + 4 + Number(length ?? 0)) return;
    if (received.startsWith(`HTTP/1.1 ${shot?.status} `)) next();
    else reject(new Error(`Cannot go on: the node answered ${received.slice(0, 500)}`));
  });
  next();
  return promise;
}
