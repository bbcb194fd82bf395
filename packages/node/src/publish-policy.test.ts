import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHash, ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { BlockList, defaultOwnerCaps, MessageMeter, type OwnerCaps } from './admission/index.ts';
import { multipart, startApi } from './api/testing.ts';
import type { OwnedProgram } from './guest-api/index.ts';
import { bytesOf, fileHashOf, makeAuthor } from './ledger/testing.ts';
import { createPublishPolicy } from './publish-policy.ts';

const MESSAGES = '/api/v0/messages';
const ADD_FILE = '/api/v0/storage/add_file';
const MIB = 1024 * 1024;

/** An API whose strangers have these caps, and a stranger. */
async function setUp(caps: Partial<OwnerCaps> = {}) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const blocks = await BlockList.open({ path: join(dir.path, 'block-list') });
  const paths = { code: join(dir.path, 'code'), logs: join(dir.path, 'logs') };
  const capsOf = () => ({ ...defaultOwnerCaps, ...caps });
  const meter = new MessageMeter({ capsOf });
  const programs = new Map<string, OwnedProgram>();
  const identities = {
    programOf: (address: string) => programs.get(address),
    addressesOf: (owner: string) => [...programs].flatMap(([address, one]) => (one.owner === owner ? [address] : [])),
  };
  const api = stack.use(
    await startApi({
      allow: 'any',
      policy: (parts) => createPublishPolicy({ ...parts, blocks, capsOf, meter, identities, paths }),
    }),
  );
  const stranger = makeAuthor();
  const owned = stack.move();
  return {
    ...{ api, blocks, paths, stranger, programs },
    publish: async (message: object) => {
      const { status, json } = await api.call('POST', MESSAGES, { body: { message } });
      return [status, (json as { code?: string }).code];
    },
    upload: async (text: string) => {
      const message = await stranger.store(fileHashOf(text));
      const parts = multipart(
        { name: 'metadata', bytes: JSON.stringify({ message }) },
        { name: 'file', disposition: '; filename="x"', bytes: text },
      );
      const { status, json } = await api.call('POST', ADD_FILE, parts);
      return [status, (json as { code?: string }).code];
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test('policy: refuses more programs than an owner may have, those that wait among them, and not the same one again', async () => {
  await using it = await setUp({ programs: 2 });
  const { stranger, publish } = it;
  const refs = { code: 'a'.repeat(64), runtime: 'b'.repeat(64) };
  const [first, second, third] = [
    await stranger.program(refs),
    await stranger.program(refs),
    await stranger.program(refs),
  ];
  expect(await publish(first)).toEqual([202, undefined]);
  expect(await publish(second)).toEqual([202, undefined]);
  expect(await publish(third)).toEqual([403, 'OWNER_PROGRAMS_EXCEEDED']);
  expect(await publish(first)).toEqual([202, undefined]);
  expect(it.api.ledger.get(third.item_hash)).toBeUndefined();
  // Another owner has a share of its own.
  expect(await publish(await makeAuthor().program(refs))).toEqual([202, undefined]);
});

test('policy: refuses a file that does not fit an owner’s share of the disk, logs counted, and stores none of it', async () => {
  await using it = await setUp({ diskMiB: 1 });
  const { upload, stranger } = it;
  const half = 'x'.repeat(MIB / 2);
  expect(await upload(half)).toEqual([200, undefined]);
  expect(await upload('y'.repeat(MIB))).toEqual([507, 'OWNER_DISK_EXCEEDED']);
  expect(await it.api.files()).toEqual([fileHashOf(half)]);
  expect(await upload(half)).toEqual([200, undefined]);
  const small = await upload('small');
  expect(small).toEqual([200, undefined]);
  const [code, runtime] = it.api.ledger.storesOf(stranger.signer.address).map(({ itemHash }) => itemHash);
  const program = await stranger.program({ code: code ?? '', runtime: runtime ?? '' });
  expect(await it.publish(program)).toEqual([200, undefined]);
  await mkdir(join(it.paths.logs, program.item_hash), { recursive: true });
  await writeFile(join(it.paths.logs, program.item_hash, 'program.ndjson'), 'z'.repeat(MIB / 2));
  expect(await upload('after the log')).toEqual([507, 'OWNER_DISK_EXCEEDED']);
  // One whose file has come by another way is refused as well.
  await it.api.content.put(bytesOf('by another way'), { maxBytes: 100 });
  expect(await it.publish(await stranger.store(fileHashOf('by another way')))).toEqual([507, 'OWNER_DISK_EXCEEDED']);
});

test('policy: takes nothing from who is blocked, nothing that is blocked, and hands it out to nobody', async () => {
  await using it = await setUp();
  const { blocks, stranger, publish, upload } = it;
  expect(await upload('text')).toEqual([200, undefined]);
  const fileHash = fileHashOf('text') as FileHash;
  const block = (what: string) => blocks.add({ what, reason: 'the reason is not told' });
  await block(fileHash);
  expect(await upload('text')).toEqual([403, 'PUBLISH_BLOCKED']);
  expect(await publish(await stranger.store(fileHash))).toEqual([403, 'PUBLISH_BLOCKED']);
  const raw = await it.api.call('GET', `/api/v0/storage/raw/${fileHash}`);
  expect([raw.status, raw.body.toString()]).toEqual([451, expect.stringContaining('"CONTENT_BLOCKED"')]);
  expect(raw.body.toString()).not.toContain('not told');
  expect((await it.api.call('POST', ADD_FILE, { body: 'text' })).status).toBe(403);
  const runtime = 'b'.repeat(64);
  await block(runtime);
  expect(await publish(await stranger.program({ code: 'a'.repeat(64), runtime }))).toEqual([403, 'PUBLISH_BLOCKED']);
  await block(stranger.signer.address.toLowerCase());
  expect(await publish(await stranger.post('x'))).toEqual([403, 'PUBLISH_BLOCKED']);
  await blocks.remove(stranger.signer.address);
  expect(await publish(await stranger.post('x'))).toEqual([200, undefined]);
});

test('policy: counts what a delegate signs for its owner, and lets in or not by who signs', async () => {
  await using it = await setUp({ programs: 1, diskMiB: 1 });
  const { api, stranger: delegate, publish } = it;
  const owner = makeAuthor();
  const authorizations = [{ address: delegate.signer.address }];
  const security = await owner.sign('AGGREGATE', { key: 'security', content: { authorizations } });
  expect(await publish(security)).toEqual([200, undefined]);
  const { address } = owner.signer;
  const refs = { code: 'a'.repeat(64), runtime: 'b'.repeat(64) };
  const file = (text: string) => api.content.put(bytesOf(text), { maxBytes: MIB });
  await file('x'.repeat(MIB));
  expect(await publish(await delegate.store(fileHashOf('x'.repeat(MIB)), { address }))).toEqual([200, undefined]);
  await file('one more');
  const more = fileHashOf('one more');
  expect(await publish(await delegate.store(more, { address }))).toEqual([507, 'OWNER_DISK_EXCEEDED']);
  // The delegate has its own share still, and the owner has used up its.
  expect(await publish(await delegate.store(more))).toEqual([200, undefined]);
  expect(await publish(await owner.store(more))).toEqual([507, 'OWNER_DISK_EXCEEDED']);
  expect(await publish(await delegate.program(refs, { address }))).toEqual([202, undefined]);
  expect(await publish(await delegate.program(refs, { address }))).toEqual([403, 'OWNER_PROGRAMS_EXCEEDED']);
  expect(await publish(await delegate.program(refs))).toEqual([202, undefined]);
  await it.blocks.add({ what: address, reason: '' });
  expect(await publish(await delegate.post('x'))).toEqual([200, undefined]);
  expect(await publish(await delegate.sign('POST', { type: 'x', address }))).toEqual([403, 'PUBLISH_BLOCKED']);
});

test('policy: takes so much text of an owner in an hour, its FORGETs and what is here already always', async () => {
  await using it = await setUp({ messagesMiB: 0.001 });
  const { stranger, publish } = it;
  const first = await stranger.post('x'.repeat(700));
  expect(await publish(first)).toEqual([200, undefined]);
  const second = await stranger.post('y'.repeat(700));
  expect(await publish(second)).toEqual([429, 'OWNER_MESSAGES_EXCEEDED']);
  expect(it.api.ledger.get(second.item_hash)).toBeUndefined();
  expect(await publish(first)).toEqual([200, undefined]);
  expect(await publish(await stranger.forget(first.item_hash))).toEqual([200, undefined]);
  expect(await publish(await makeAuthor().post('y'.repeat(700)))).toEqual([200, undefined]);
});

test('policy: what a program stores counts as its owner’s, and a block of either keeps it out', async () => {
  await using it = await setUp({ diskMiB: 1 });
  const { api, stranger: owner, programs, publish } = it;
  const [one, two] = [makeAuthor(), makeAuthor()];
  const itemHash = 'a'.repeat(64) as ItemHash;
  for (const program of [one, two]) programs.set(program.signer.address, { itemHash, owner: owner.signer.address });
  const store = async (author: typeof one, text: string) => {
    await api.content.put(bytesOf(text), { maxBytes: MIB });
    return await publish(await author.store(fileHashOf(text)));
  };
  expect(await store(one, 'x'.repeat(MIB / 2))).toEqual([200, undefined]);
  expect(await store(two, 'y'.repeat(MIB / 2))).toEqual([200, undefined]);
  for (const author of [one, two, owner]) expect(await store(author, 'more')).toEqual([507, 'OWNER_DISK_EXCEEDED']);
  for (const what of [owner.signer.address, itemHash]) {
    await it.blocks.add({ what, reason: '' });
    expect(await publish(await one.post('x'))).toEqual([403, 'PUBLISH_BLOCKED']);
    await it.blocks.remove(what);
  }
  expect(await publish(await one.post('x'))).toEqual([200, undefined]);
});

test('policy: knows a blocked file by each of its names', async () => {
  await using it = await setUp();
  const { api, blocks, stranger, publish } = it;
  const text = 'hello world\n';
  const cid = 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o';
  const cidV1 = 'bafybeicg2rebjoofv4kbyovkw7af3rpiitvnl6i7ckcywaq6xjcxnc2mby';
  await api.content.put(bytesOf(text), { maxBytes: 99, dag: true });
  for (const blocked of [fileHashOf(text), cid]) {
    await blocks.add({ what: blocked, reason: '' });
    for (const named of [cid, cidV1]) {
      const message = await stranger.store(named, { item_type: 'ipfs' });
      expect(await publish(message)).toEqual([403, 'PUBLISH_BLOCKED']);
      const { json } = await api.call('GET', `/api/v0/storage/raw/${named}`);
      expect(json).toMatchObject({ code: 'CONTENT_BLOCKED', status: 451 });
    }
    await blocks.remove(blocked);
  }
});
