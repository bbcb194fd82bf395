import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';
import type { ContentOf } from '@vmlet/messages/schema';
import type { BlockList, MessageMeter, OwnerCaps } from './admission/index.ts';
import type { ApiComponents } from './api/index.ts';
import { type ContentStore, canonicalCid } from './content/index.ts';
import { VmletError } from './errors.ts';
import type { Identities } from './guest-api/index.ts';
import type { Ledger } from './ledger/index.ts';

const MIB = 1024 * 1024;

export interface PublishPolicyComponents {
  ledger: Pick<Ledger, 'get' | 'holdingsOf' | 'program' | 'store' | 'storesOf'>;
  content: Pick<ContentStore, 'find'>;
  blocks: Pick<BlockList, 'find'>;
  capsOf: (address: string) => OwnerCaps;
  meter: Pick<MessageMeter, 'take'>;
  /** Addresses of programs, whose owners answer for them. */
  identities: Pick<Identities, 'programOf' | 'addressesOf'>;
  /** Where images of code and logs are. */
  paths: { code: string; logs: string };
}

/**
 * What this node takes of whom, beyond what a message says of itself. Whoever signs must be let in, which admission has
 * seen to; what is kept counts for the address in whose name it was signed, and for its owner if that is a program.
 */
export function createPublishPolicy(components: PublishPolicyComponents): ApiComponents['policy'] {
  const { ledger, content, blocks } = components;
  const mayStore: ApiComponents['policy']['mayStore'] = async (address, { fileHash, sizeBytes }) => {
    const program = components.identities.programOf(address);
    const owner = program?.owner ?? address;
    refuseBlocked(blocks, [address, program?.owner, program?.itemHash, fileHash]);
    const { diskMiB } = components.capsOf(owner);
    if (diskMiB === Number.POSITIVE_INFINITY) return;
    // What is theirs already takes no more room.
    if (ledger.storesOf(address).some((store) => store.fileHash === fileHash)) return;
    const usedBytes = await diskBytesOf(owner, components);
    if (usedBytes + sizeBytes <= diskMiB * MIB) return;
    const operands = { owner, sizeBytes, usedMiB: Math.ceil(usedBytes / MIB), maxMiB: diskMiB };
    throw new VmletError('OWNER_DISK_EXCEEDED', { operands });
  };
  return {
    mayStore,
    mayKeep: (fileHash) => refuseBlocked(blocks, [fileHash]),
    mayRead(fileHash) {
      const what = blocks.find([fileHash]);
      if (what !== undefined) throw new VmletError('CONTENT_BLOCKED', { operands: { what } });
    },
    async mayAccept(message) {
      const { envelope } = message;
      const program = components.identities.programOf(envelope.sender);
      const senders = [envelope.sender, program?.owner, program?.itemHash];
      refuseBlocked(blocks, [...senders, envelope.item_hash, ...namedBy(message)]);
      // What is here is here: the same message again is a question, and takes nothing.
      if (
        ['processed', 'removing', 'removed', 'forgotten', 'pending'].includes(
          ledger.get(envelope.item_hash)?.status ?? '',
        )
      )
        return;
      const address = message.content?.address ?? envelope.sender;
      const owner = components.identities.programOf(address)?.owner ?? address;
      if (envelope.type === 'PROGRAM') refuseProgram(owner, components);
      if (envelope.type === 'STORE') {
        // A file that is not here yet, or is named by a content that is not, is counted when the next one comes.
        const fileHash = message.content && (message.content as ContentOf<'STORE'>).item_hash;
        const found = fileHash && (await content.find(fileHash));
        // By whichever of its names the operator has blocked it.
        refuseBlocked(blocks, [found?.fileHash, fileHash && canonicalCid(fileHash)]);
        await mayStore(address, { fileHash, sizeBytes: found?.sizeBytes ?? 0 });
      }
      // Last: what is refused before has taken nothing. To take something back is always free.
      if (envelope.type !== 'FORGET') components.meter.take(owner, Buffer.byteLength(envelope.item_content ?? ''));
    },
  };
}

function refuseBlocked(blocks: Pick<BlockList, 'find'>, whats: Iterable<string | undefined>): void {
  const what = blocks.find(whats);
  if (what !== undefined) throw new VmletError('PUBLISH_BLOCKED', { operands: { what } });
}

function refuseProgram(owner: string, { ledger, capsOf }: PublishPolicyComponents): void {
  const { programs: max } = capsOf(owner);
  if (max === Number.POSITIVE_INFINITY) return;
  const { programs, pendingPrograms } = ledger.holdingsOf(owner);
  const found = programs.length + pendingPrograms;
  if (found >= max) throw new VmletError('OWNER_PROGRAMS_EXCEEDED', { operands: { owner, found, max } });
}

/** What a message would have this node fetch, run or hand out. */
function namedBy({ envelope, content }: ReturnType<Ledger['check']>): (string | undefined)[] {
  if (content === undefined) return [];
  if (envelope.type === 'STORE') return [content.address, (content as ContentOf<'STORE'>).item_hash];
  if (envelope.type !== 'PROGRAM' && envelope.type !== 'INSTANCE') return [content.address];
  const { volumes, ...machine } = content as ContentOf<'PROGRAM'> | ContentOf<'INSTANCE'>;
  const own =
    'code' in machine
      ? [machine.code.ref, machine.runtime.ref, machine.data?.ref]
      : 'rootfs' in machine
        ? [machine.rootfs.parent.ref]
        : [];
  return [content.address, ...own, ...volumes.map((volume) => ('ref' in volume ? volume.ref : undefined))];
}

/** Files that messages of an owner and of its programs name, images made of its code, and logs of its programs. */
async function diskBytesOf(address: string, components: PublishPolicyComponents): Promise<number> {
  const { ledger, paths, identities } = components;
  const { programs, storedBytes: ownBytes } = ledger.holdingsOf(address);
  const byPrograms = identities.addressesOf(address).map((one) => ledger.holdingsOf(one).storedBytes);
  const storedBytes = byPrograms.reduce((sum, bytes) => sum + bytes, ownBytes);
  const images = programs.length === 0 ? [] : await namesIn(paths.code);
  return programs.reduce((sum, itemHash) => sum + logBytes(itemHash, paths) + imageBytes(itemHash), storedBytes);

  function imageBytes(itemHash: ItemHash): number {
    const code = ledger.program(itemHash)?.content.code;
    const fileHash = code && ledger.store(code.ref, { latest: code.use_latest })?.fileHash;
    const own = images.filter((name) => fileHash !== undefined && name.startsWith(`${fileHash}.`));
    return own.reduce((sum, name) => sum + sizeOf(join(paths.code, name)), 0);
  }
}

function logBytes(itemHash: ItemHash, { logs }: PublishPolicyComponents['paths']): number {
  const file = join(logs, itemHash, 'program.ndjson');
  return sizeOf(file) + sizeOf(`${file}.1`);
}

/** None of a file that is not there, or no more. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
