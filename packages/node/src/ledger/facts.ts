import { type Envelope, type FileHash, MessageError, parseContent } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import type { ContentStore } from '../content/index.ts';
import type { Facts } from './apply/apply.ts';

/** The longest content of a message that is kept as a file. */
export const MAX_CONTENT_BYTES = 4 * 1024 * 1024;

interface Sources {
  content: Pick<ContentStore, 'sizeOf' | 'read'>;
  /** The content of an inline message, where it is parsed already. */
  parsed?: ContentOf<MessageType> | undefined;
}

const NOTHING: Facts = { text: undefined, content: undefined, unreadable: undefined, fileSizeBytes: undefined };

/** Reads what the content store holds of a message: its content, and the size of the file that a STORE names. */
export async function gatherFacts(envelope: Envelope, { content, parsed }: Sources): Promise<Facts> {
  const facts = { ...NOTHING, ...(await contentOf(envelope, { content, parsed })) };
  if (envelope.type !== 'STORE' || facts.content === undefined) return facts;
  const { item_hash: fileHash } = facts.content as ContentOf<'STORE'>;
  return { ...facts, fileSizeBytes: await content.sizeOf(fileHash) };
}

async function contentOf(envelope: Envelope, { content, parsed }: Sources): Promise<Partial<Facts>> {
  const { item_content: text } = envelope;
  if (text !== undefined && parsed !== undefined) return { text, content: parsed };
  const read = text === undefined ? await readText(envelope, content) : { text };
  if (read.text === undefined) return read;
  try {
    return { text: read.text, content: parseContent(envelope.type, read.text) };
  } catch (error) {
    if (error instanceof MessageError) return { unreadable: error.message };
    throw error;
  }
}

async function readText(
  envelope: Envelope,
  content: Sources['content'],
): Promise<{ text?: string; unreadable?: string }> {
  // A message kept as a file is named by the hash of that file.
  const fileHash = envelope.item_hash as string as FileHash;
  const sizeBytes = await content.sizeOf(fileHash);
  if (sizeBytes === undefined) return {};
  if (sizeBytes > MAX_CONTENT_BYTES) {
    return { unreadable: `Cannot read the content: ${sizeBytes} bytes long, expected at most ${MAX_CONTENT_BYTES}` };
  }
  const { stream } = await content.read(fileHash);
  const bytes = Buffer.concat(await Array.fromAsync<Buffer>(stream));
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { unreadable: 'Cannot read the content: not UTF-8, expected the text of one JSON object' };
  }
}
