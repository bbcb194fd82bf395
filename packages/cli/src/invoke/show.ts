import type { IncomingMessage } from 'node:http';
import type { Output } from '../output.ts';
import { clean, cleanLine } from '../terminal-text.ts';

/** What the head of an answer is shown as with --include. */
function headOf(answer: IncomingMessage): string {
  const lines = [`HTTP/${answer.httpVersion} ${answer.statusCode} ${cleanLine(answer.statusMessage ?? '')}`.trimEnd()];
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2) {
    lines.push(`${cleanLine(answer.rawHeaders[index] ?? '')}: ${cleanLine(answer.rawHeaders[index + 1] ?? '')}`);
  }
  return `${lines.join('\n')}\n\n`;
}

export interface ShowOptions {
  output: Output;
  include: boolean;
  signal: AbortSignal;
}

/**
 * Streams an answer to stdout: its very bytes into a file or pipe, text without control characters to a terminal,
 * where other bytes are only announced.
 * @param body the answer's own body, or what was read of it before
 */
export async function showAnswer(
  answer: IncomingMessage,
  body: AsyncIterable<Uint8Array>,
  { output, include, signal }: ShowOptions,
): Promise<void> {
  if (include) await output.bytes(headOf(answer), signal);
  if (!output.isTerminal) {
    for await (const chunk of body) await output.bytes(chunk, signal);
    return;
  }
  const decoder = new TextDecoder();
  let sizeBytes = 0;
  let isText = true;
  let last = '\n';
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    isText &&= !chunk.includes(0);
    if (!isText) continue;
    const text = clean(decoder.decode(chunk, { stream: true }));
    last = text.at(-1) ?? last;
    await output.bytes(text, signal);
  }
  if (last !== '\n') await output.bytes('\n', signal);
  if (!isText) output.note(`The answer is not text (${sizeBytes} bytes): send it to a file with > FILE`);
}

/** An answer as `--json` has it; bytes that are no text stand in base64. */
export interface AnswerDocument {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  bodyEncoding: 'utf8' | 'base64';
}

/** Collects a whole answer. */
export async function collectAnswer(answer: IncomingMessage, body: AsyncIterable<Uint8Array>): Promise<AnswerDocument> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const { statusCode: status = 0, headers } = answer;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return { status, headers: { ...headers }, body: text, bodyEncoding: 'utf8' };
  } catch {
    return { status, headers: { ...headers }, body: bytes.toString('base64'), bodyEncoding: 'base64' };
  }
}
