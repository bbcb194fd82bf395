import { once } from 'node:events';
import { connect } from 'node:net';

/** How a first answer came. */
export interface FirstAnswer {
  /** From the request's first byte out to the answer's first byte in. */
  ms: number;
  /** What the node says that its machine was made from; undefined if it ran. */
  from: string | undefined;
}

/**
 * Asks for `path` on a connection of its own that is open before the clock runs, byte by byte: a client library has
 * costs that are not the node's.
 * @throws if the answer is not a 200
 */
export async function firstAnswer(url: string, path: string): Promise<FirstAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  const chunks: Buffer[] = [];
  let firstMs = 0;
  const ended = once(socket.on('data', onData), 'end');
  const started = performance.now();
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nconnection: close\r\n\r\n`);
  await ended;
  const answer = Buffer.concat(chunks).toString('latin1');
  if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`Cannot bench ${path}: ${answer.slice(0, 2000)}`);
  return { ms: firstMs, from: /\r\nserver-timing: [^\r]*total;desc="([a-z]+)"/i.exec(answer)?.[1] };

  function onData(chunk: Buffer): void {
    if (chunks.length === 0) firstMs = performance.now() - started;
    chunks.push(chunk);
  }
}
