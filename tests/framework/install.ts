import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { TestNode } from './node.ts';

/** Has a node install requirements: a zip of a folder goes in, what pip made of it or what it says comes out. */
export function install(
  node: TestNode,
  archive: Uint8Array,
  { runtime }: { runtime: string } = node,
): Promise<{ status: number; body: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: Buffer }>();
  const options = {
    socketPath: node.node.ownerSocket,
    method: 'POST',
    path: `/install?runtime=${runtime}`,
    headers: { 'content-type': 'application/zip' },
  };
  request(options, async (answer) => resolve({ status: answer.statusCode ?? 0, body: await buffer(answer) }))
    .on('error', reject)
    .end(archive);
  return promise;
}
