import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { zipSync } from 'fflate';
import type { TestNode } from './node.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

/** The smallest wheel that pip takes. */
export function wheel(): Uint8Array {
  return zipSync({
    'tiny/__init__.py': bytes('ANSWER = 42\n'),
    'tiny-1.0.dist-info/METADATA': bytes('Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n'),
    'tiny-1.0.dist-info/WHEEL': bytes(
      'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    ),
    'tiny-1.0.dist-info/RECORD': bytes('tiny/__init__.py,,\ntiny-1.0.dist-info/METADATA,,\n'),
  });
}

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
