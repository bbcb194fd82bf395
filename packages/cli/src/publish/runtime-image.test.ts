import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CliError } from '../errors.ts';
import { temporaryFolder } from '../testing.ts';
import { describeImage } from './runtime-image.ts';

const { signal } = new AbortController();

/** An image as far as its superblock tells. */
function imageOf(filesystem: 'erofs' | 'squashfs' | 'ext4'): Buffer {
  const image = Buffer.alloc(4096);
  const [offset, magic] = { erofs: [1024, 'e2e1f5e0'], squashfs: [0, '68737173'], ext4: [1080, '53ef'] }[filesystem];
  image.write(String(magic), Number(offset), 'hex');
  return image;
}

async function describeBoth(image: Buffer, manifest: string) {
  await using folder = await temporaryFolder({ 'manifest.json': manifest });
  const path = join(folder.path, 'image');
  await writeFile(path, image);
  return await describeImage(path, join(folder.path, 'manifest.json'), signal);
}

test.each(['erofs', 'squashfs', 'ext4'] as const)(
  'describeImage: sees size, hash and %s in the image',
  async (name) => {
    const image = imageOf(name);
    const said = { name: 'own', init: 'image', filesystem: 'wrong', sizeBytes: 1, fileHash: 'wrong' };
    expect(await describeBoth(image, JSON.stringify(said))).toEqual({
      ...{ format: 1, kind: 'vmlet/runtime', name: 'own', version: '1', description: '', os: '', interpreters: {} },
      ...{ init: 'image', filesystem: name, sizeBytes: 4096 },
      fileHash: createHash('sha256').update(image).digest('hex'),
    });
  },
);

test.each([
  ['an image that is none', Buffer.alloc(4096), '{"name":"own"}', 'no known filesystem, expected erofs, squashfs'],
  ['an image that is too short', Buffer.alloc(10), '{"name":"own"}', 'no known filesystem'],
  ['no JSON', imageOf('erofs'), '{"name":', 'expected JSON'],
  ['no object', imageOf('erofs'), '[]', 'another value, expected a JSON object'],
  ['no name', imageOf('erofs'), '{}', '"name": '],
  ['an init that nobody knows', imageOf('erofs'), '{"name":"own","init":"systemd"}', '"init": '],
  ['a manifest that is too long', imageOf('erofs'), ' '.repeat(70_000), 'more than 65536 bytes'],
])('describeImage: refuses %s in words', async (_what, image, manifest, words) => {
  const error: unknown = await describeBoth(image, manifest).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CliError);
  expect(error).toMatchObject({ code: 'RUNTIME_UNREADABLE', message: expect.stringContaining(words) });
});

test('describeImage: names a file that is not there', async () => {
  await expect(describeImage('/nonexistent/image', '/nonexistent/manifest', signal)).rejects.toMatchObject({
    code: 'RUNTIME_UNREADABLE',
    message: expect.stringMatching(/^Cannot use "\/nonexistent\/manifest" for a runtime: ENOENT/),
  });
});
