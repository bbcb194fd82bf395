import { type Envelope, type FileHash, MessageError, parseContent } from '@vmlet/messages';
import type { ContentStore } from '../content/index.ts';
import type { Facts } from './apply/apply.ts';

/** The longest content of a message that is kept as a file. */
export const MAX_CONTENT_BYTES = 4 * 1024 * 1024;

/** Reads what the content store holds of a message: its content, and the size of the file that a STORE names. */
export async function gatherFacts(envelope: Envelope, { content }: { content: ContentStore }): Promise<Facts> {
  const read =
    envelope.item_content === undefined ? await readText(envelope, content) : { text: envelope.item_content };
  const facts = { text: undefined, unreadable: undefined, fileSizeBytes: undefined, ...read };
  const fileHash = envelope.type === 'STORE' && facts.text !== undefined ? fileHashIn(facts.text) : undefined;
  if (fileHash === undefined) return facts;
  return { ...facts, fileSizeBytes: await content.sizeOf(fileHash) };
}

async function readText(envelope: Envelope, content: ContentStore): Promise<{ text?: string; unreadable?: string }> {
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

/** The file a STORE names; undefined if the content is malformed, which is for the rules to say. */
function fileHashIn(text: string): FileHash | undefined {
  try {
    return parseContent('STORE', text).item_hash;
  } catch (error) {
    if (error instanceof MessageError) return undefined;
    throw error;
  }
}
