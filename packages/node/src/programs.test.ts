import type { FileHash, ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { VmletError } from './errors.ts';
import type { Ledger, ProgramRecord } from './ledger/index.ts';
import { createPrograms, type ProgramsComponents } from './programs.ts';
import { CodeImages } from './runtimes/index.ts';

const hash = (digit: string) => digit.repeat(64) as ItemHash;
type LedgerListener = Parameters<Ledger['subscribe']>[0];

const never = new AbortController().signal;
const ADDRESS = '0x1' as ProgramRecord['content']['address'];
const program: ProgramRecord = {
  type: 'PROGRAM',
  itemHash: hash('a'),
  receivedMs: 1,
  envelope: {
    chain: 'ETH',
    sender: ADDRESS,
    type: 'PROGRAM',
    time: 1,
    item_type: 'inline',
    item_hash: hash('a'),
    signature: '0x',
  },
  content: {
    type: 'vm-function',
    address: ADDRESS,
    time: 1,
    allow_amend: false,
    runtime: { ref: hash('b'), use_latest: true, comment: '' },
    code: { ref: hash('c'), entrypoint: 'main:app', encoding: 'zip', use_latest: true },
    environment: { reproducible: false, internet: false, aleph_api: false, shared_cache: false },
    resources: { memory: 256, seconds: 9, vcpus: 1 },
    on: { http: true },
    volumes: [],
  },
};

/** A ledger that knows one program, until it is told otherwise. */
interface Found {
  program?: ProgramRecord;
  names?: Record<string, ItemHash>;
  stopped?: boolean;
  serving?: Record<string, ItemHash>;
}

function setUp(found: Found = { program }, blocked: { what?: string } = {}) {
  const asked: string[] = [];
  const listeners: LedgerListener[] = [];
  const components: ProgramsComponents = {
    ledger: {
      program: (ref: string) => (ref === found.program?.itemHash ? found.program : undefined),
      programs: () => [],
      store: () => undefined,
      storesOf: () => [],
      subscribe: (listener) => {
        listeners.push(listener);
        return () => {};
      },
    },
    content: { verifiedPath: async (fileHash: FileHash) => `/content/${fileHash}` },
    codeImages: new CodeImages('/nowhere'),
    admission: { mayRun: ({ itemHash }: ProgramRecord) => void asked.push(itemHash) },
    blocks: { find: (whats) => [...whats].find((what) => what === blocked.what), subscribe: () => () => {} },
    names: { find: (name) => ({ name, address: ADDRESS, itemHash: found.names?.[name], versions: [] }) },
    stops: {
      refuse: (itemHash) => {
        if (found.stopped) throw new VmletError('PROGRAM_STOPPED', { operands: { itemHash } });
      },
    },
    versions: { serving: (itemHash) => found.serving?.[itemHash] ?? itemHash },
    operator: ADDRESS,
  };
  const forget = (message: ProgramRecord) => {
    delete found.program;
    for (const listener of listeners)
      listener({ type: 'forgotten', itemHash: message.itemHash, message, forgottenBy: hash('e') });
  };
  return { asked, forget, programs: createPrograms(components) };
}

test('find: gives what a request to a program needs, and asks whether it may run', () => {
  const { programs, asked } = setUp();
  expect(programs.find(hash('a'))).toMatchObject({ itemHash: hash('a'), memoryMiB: 256, seconds: 9 });
  expect(asked).toEqual([hash('a')]);
  expect(() => programs.find(hash('f'))).toThrow(expect.objectContaining({ code: 'PROGRAM_NOT_FOUND' }));
  expect(() => programs.find('x'.repeat(10_000))).toThrow(/^.{1,300}$/);
});

test('find: takes a name too, and asks anew where it leads', () => {
  const found: Found = { program, names: { web: hash('a') } };
  const { programs } = setUp(found);
  expect(programs.find('web').itemHash).toBe(hash('a'));
  found.names = { web: hash('f') };
  expect(() => programs.find('web')).toThrow(expect.objectContaining({ code: 'PROGRAM_NOT_FOUND' }));
  expect(programs.find(hash('a')).itemHash).toBe(hash('a'));
});

test('find: refuses what its owner has stopped, one that was known or in line too', async () => {
  const found: Found = { program };
  const { programs } = setUp(found);
  const target = programs.find(hash('a'));
  found.stopped = true;
  expect(() => programs.find(hash('a'))).toThrow(expect.objectContaining({ code: 'PROGRAM_STOPPED' }));
  await expect(target.prepare(never)).rejects.toMatchObject({ code: 'PROGRAM_STOPPED' });
});

test('prepare: looks the program up anew, for it may be gone by the time its turn comes', async () => {
  const { programs, forget } = setUp();
  const target = programs.find(hash('a'));
  await expect(target.prepare(never)).rejects.toMatchObject({ code: 'RUNTIME_NOT_FOUND' });
  forget(program);
  await expect(target.prepare(never)).rejects.toMatchObject({ code: 'PROGRAM_NOT_FOUND' });
  expect(() => programs.find(hash('a'))).toThrow(expect.objectContaining({ code: 'PROGRAM_NOT_FOUND' }));
});

test('prepare: refuses in words what this version cannot run', async () => {
  const { content } = program;
  const cases = {
    '17 vCPUs': { ...content, resources: { ...content.resources, vcpus: 17 } },
    '111 MiB of memory (Linux and a launcher take 112 at least)': {
      ...content,
      resources: { ...content.resources, memory: 111 },
    },
    'persistent execution': { ...content, on: { http: true, persistent: true } },
    '1 volumes': { ...content, volumes: [{ ephemeral: true as const, size_mib: 1 }] },
  };
  for (const [words, changed] of Object.entries(cases)) {
    const { programs } = setUp({ program: { ...program, content: changed } });
    const failure = programs.find(hash('a')).prepare(never);
    await expect(failure).rejects.toMatchObject({
      code: 'PROGRAM_UNSUPPORTED',
      message: expect.stringContaining(words),
    });
  }
});

test('urlsOf: gives the path below the node and the program’s own host, by hash and by name', () => {
  const { programs } = setUp();
  const urls = programs.urlsOf({ url: 'http://127.0.0.1:81', programDomain: 'vm.localhost', port: 81 })(hash('a'));
  expect(urls.url).toBe(`http://127.0.0.1:81/vm/${hash('a')}/`);
  expect(urls.hostUrl).toMatch(/^http:\/\/[a-z2-7]{52}\.vm\.localhost:81\/$/);
  const named = programs.nameUrlsOf({ url: 'http://127.0.0.1:81', programDomain: 'vm.localhost', port: 81 })('web');
  expect(named).toEqual({ url: 'http://127.0.0.1:81/vm/web/', hostUrl: 'http://web.vm.localhost:81/' });
});

test('find: refuses what is blocked, by owner, by message and by file', () => {
  for (const what of [ADDRESS, hash('a'), program.content.code.ref, program.content.runtime.ref]) {
    const { programs } = setUp({ program }, { what });
    expect(() => programs.find(hash('a'))).toThrow(expect.objectContaining({ code: 'CONTENT_BLOCKED' }));
  }
  expect(setUp({ program }, { what: hash('f') }).programs.find(hash('a')).owner).toBe(ADDRESS);
});
