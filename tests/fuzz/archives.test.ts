import { createHash } from 'node:crypto';
import { mkdtempDisposable, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHash } from '@vmlet/messages';
import { VmletError } from '@vmlet/node';
import { zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { CliError } from '../../packages/cli/src/errors.ts';
import { readZipEntries } from '../../packages/cli/src/pack/read-zip.ts';
import { createAdmission } from '../../packages/node/src/admission/index.ts';
import { openFileStore } from '../../packages/node/src/content/index.ts';
import { openLedger } from '../../packages/node/src/ledger/index.ts';
import { makeAuthor } from '../../packages/node/src/ledger/testing.ts';
import { CodeImages } from '../../packages/node/src/runtimes/index.ts';
import { openDatabase } from '../../packages/node/src/store/index.ts';
import { fuzz, fuzzTimeoutMs } from './engine.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const UNIX = 3;
const attrs = (mode: number) => ({ os: UNIX, attrs: mode << 16 });
const archives = [
  zipSync({ 'main.py': bytes('app = 1\n'), 'pkg/__init__.py': bytes('') }),
  zipSync({ 'main.py': [bytes('x'.repeat(2000)), { level: 9 }], 'data.bin': [bytes('stored'), { level: 0 }] }),
  zipSync({
    link: [bytes('main.py'), attrs(0o120777)],
    'main.py': [bytes('1'), attrs(0o100755)],
    'dir/': [bytes(''), attrs(0o040755)],
  }),
  zipSync({ 'a/b/c/d.txt': bytes('deep'), 'é.txt': bytes('utf-8') }, { comment: 'a comment' }),
].map((zip) => Buffer.from(zip));
const SIGNATURES = ['PK\x01\x02', 'PK\x03\x04', 'PK\x05\x06', 'PK\x06\x06', 'PK\x06\x07', 'PK\x07\x08'];
const dictionary = [
  ...SIGNATURES,
  '../',
  '/',
  '\\',
  '\0',
  '\x01\0',
  '\xff\xff',
  '\xff\xff\xff\xff',
  'up\x08\0',
  '\x0b\0',
];

test(
  'code archives: become an image or are refused, and leave nothing else',
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-fuzz-'));
    const path = join(dir.path, 'archive');
    const folder = join(dir.path, 'code');
    const images = new CodeImages(folder);
    await fuzz({
      name: 'code-archives',
      corpus: archives,
      dictionary,
      maxBytes: 8192,
      async run(input) {
        await writeFile(path, input);
        const fileHash = createHash('sha256').update(input).digest('hex') as FileHash;
        try {
          const image = await images.ensure({ fileHash, encoding: 'zip', path });
          expect(await readdir(folder)).toEqual([image.slice(folder.length + 1)]);
          await rm(image);
        } catch (error) {
          if (!(error instanceof VmletError)) throw error;
          expect(error.code).toBe('CODE_REFUSED');
        }
        expect(await readdir(folder)).toEqual([]);
      },
    });
  },
  fuzzTimeoutMs('code-archives'),
);

test(
  'package archives: what an installer answers is taken with inner paths only, or refused',
  async () => {
    await fuzz({
      name: 'package-archives',
      corpus: archives,
      dictionary,
      maxBytes: 8192,
      run(input) {
        const copy = Buffer.alloc(input.length);
        input.copy(copy);
        try {
          for (const { path, packed } of readZipEntries(copy, { cachePath: 'x' })) {
            expect(path).not.toMatch(/^\/|(?:^|\/)\.\.?(?:\/|$)|[\\\0]/);
            expect(packed.length).toBeLessThanOrEqual(input.length);
          }
        } catch (error) {
          if (!(error instanceof CliError)) throw error;
          expect(error.code).toBe('ARCHIVE_UNREADABLE');
        }
      },
    });
  },
  fuzzTimeoutMs('package-archives'),
);

test(
  'messages: are taken, wait, or are refused by the catalogue, whatever the network sends',
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-fuzz-'));
    using database = new DisposableStack();
    const opened = database.adopt(openDatabase(join(dir.path, 'node.db')), (one) => {
      one.close();
    });
    const content = await openFileStore(join(dir.path, 'content'));
    const failures: unknown[] = [];
    using ledger = await openLedger({ database: opened, content, onListenerError: (error) => failures.push(error) });
    const author = makeAuthor();
    const admission = createAdmission({ operatorAddress: author.signer.address, allow: 'any' });
    const messages = [
      await author.store('a'.repeat(64)),
      await author.program({ code: 'b'.repeat(64), runtime: 'c'.repeat(64) }),
      await author.post({ any: [1, 'text', null, 1.5e300] }),
      await author.forget('d'.repeat(64)),
    ];
    await fuzz({
      name: 'messages',
      corpus: messages.map((message) => Buffer.from(JSON.stringify(message))),
      dictionary: [
        '"',
        '\\"',
        '{',
        '}',
        '[',
        ']',
        'null',
        '1e400',
        '-0',
        '\\ud800',
        '\\u0000',
        '"__proto__":',
        '"ETH"',
        '"SOL"',
        '"0x"',
        'true',
      ],
      async run(input) {
        let message: unknown;
        try {
          message = JSON.parse(input.toString('utf8'));
        } catch {
          // The API refuses it before: it takes JSON only.
          return;
        }
        try {
          const { envelope } = ledger.check(message);
          admission.mayPublish(envelope.sender);
          const { status, itemHash } = await ledger.accept(message);
          expect(['processed', 'pending', 'rejected', 'forgotten']).toContain(status);
          // A forged copy of a message that is in force is refused, and changes nothing.
          if (status !== 'rejected') expect(ledger.get(itemHash)?.status).toBe(status);
          ledger.programs();
        } catch (error) {
          if (!(error instanceof VmletError)) throw error;
          expect(error.code).toBe('MESSAGE_MALFORMED');
        }
        expect(failures).toEqual([]);
      },
    });
  },
  fuzzTimeoutMs('messages'),
);
