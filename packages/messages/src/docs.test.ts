import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { buildMessage, parseEnvelope, verifySignature } from './index.ts';
import { ED25519_CHAINS, EVM_CHAINS, UNVERIFIED_CHAINS } from './schema/chains.ts';
import { createEvmSigner, signedBytes } from './sign/index.ts';

const page = readFileSync(new URL('../../../docs/formats/item.md', import.meta.url), 'utf8');
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

function block(text: string, language: string): string {
  const found = new RegExp(`\`\`\`${language}\n(.*?)\n\`\`\``, 's').exec(text)?.[1];
  if (found === undefined) throw new Error(`the page has no block of ${language}`);
  return found;
}

test('item.md: shows the message that is built, when its example is followed', async () => {
  const shown = JSON.parse(block(page, 'json'));
  const built = await buildMessage({
    signer: createEvmSigner(new Uint8Array(32).fill(1)),
    type: 'POST',
    content: { type: 'note', content: { body: 'Hello Wörld' } },
    channel: 'EXAMPLE',
    now: new Date('2026-01-02T03:04:05.678Z'),
  });
  expect(built).toEqual(shown);
  expect(verifySignature(parseEnvelope(shown))).toEqual({ ok: true });
});

test('item.md: shows the signed text, when compared with the signed bytes', () => {
  const shown = block(page, 'text');
  const bytes = signedBytes(parseEnvelope(JSON.parse(block(page, 'json'))));
  expect(new TextDecoder().decode(bytes)).toBe(shown);
  expect(page).toContain(`Signed was this text, ${bytes.length} bytes:`);
});

test.each([EVM_CHAINS, ED25519_CHAINS, UNVERIFIED_CHAINS])(
  'item.md: lists the chains of a form, when it starts with %s',
  (...chains) => {
    const group = [...chains].toSorted().join(' ');
    const rows = [...page.matchAll(/^\| ([A-Z0-9 ]+?) +\|/gm)].map((match) =>
      match[1]?.split(' ').toSorted().join(' '),
    );
    expect(rows).toContain(group);
  },
);

test('README.md: runs, when its example is imported from the sources', async () => {
  const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
  const { tmpdir } = await import('node:os');
  const { join } = await import('node:path');
  const source = (name: string) => new URL(name, import.meta.url).href;
  const code = block(readme, 'ts')
    .replace("'@vmlet/messages'", `'${source('index.ts')}'`)
    .replace("'@vmlet/messages/sign'", `'${source('sign/index.ts')}'`);
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-messages-'));
  try {
    await writeFile(join(folder, 'readme.ts'), `${code}\nexport { post, verified };\n`);
    const ran = await import(join(folder, 'readme.ts'));
    expect(ran.verified).toEqual({ ok: true });
    expect(ran.post.content).toEqual({ body: 'hello' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
