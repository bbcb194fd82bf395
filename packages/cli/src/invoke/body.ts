import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';

/** The body of a request, and the headers that go with it unless others are given. */
export interface RequestBody {
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * What `--data` names: standard input for `-`, a file for `@path`, else the text itself. A text that is a JSON object
 * or array is sent as JSON.
 * @throws CliError `INPUT_UNREADABLE`
 */
export async function readRequestBody(
  data: string | undefined,
  { cwd, stdin }: Pick<Context, 'cwd' | 'stdin'>,
): Promise<RequestBody | undefined> {
  if (data === undefined) return undefined;
  if (data === '-') return { bytes: stdin, headers: { 'content-type': 'application/octet-stream' } };
  if (data.startsWith('@')) return await fileBody(resolve(cwd, data.slice(1)));
  const bytes = Buffer.from(data);
  const type = isJson(data) ? 'application/json' : 'text/plain; charset=utf-8';
  return { bytes, headers: { 'content-type': type, 'content-length': String(bytes.length) } };
}

async function fileBody(path: string): Promise<RequestBody> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error || !found.isFile()) {
    const reason = found instanceof Error ? (found.code ?? found.message) : 'it is no file';
    throw new CliError('INPUT_UNREADABLE', { operands: { path, found: reason } });
  }
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(found.size) };
  return { bytes: createReadStream(path), headers };
}

function isJson(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}
