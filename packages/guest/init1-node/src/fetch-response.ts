/** From the web's response to Node's. */
import type { IncomingMessage, ServerResponse } from 'http';
import { answerError } from './answer.ts';
import type { WebReader, WebResponse } from './web.ts';

/** Of one connection, so the server's to say. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade']);
const WITHOUT_BODY = new Set([204, 205, 304]);

/** Told by its looks: a program may bring a Response of its own. */
export function isResponse(value: unknown): value is WebResponse {
  const { status, headers } = Object(value) as { status?: unknown; headers?: unknown };
  return typeof status === 'number' && typeof (Object(headers) as { get?: unknown }).get === 'function';
}

/**
 * Sends `response`. Its body is read only as fast as the client takes it, and cancelled when the client has gone.
 * @throws what cannot be sent, or was thrown before the answer began; after that the connection is cut
 */
export async function sendResponse(response: WebResponse, req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (response.status < 200 || response.status > 599) {
    throw new RangeError(`Cannot send a Response: status ${response.status}, expected 200 to 599`);
  }
  if (response.bodyUsed) throw new TypeError('Cannot send a Response: its body was read already, expected it whole');
  sendHead(response, res);
  const { body } = response;
  if (body === null || body === undefined || req.method === 'HEAD' || WITHOUT_BODY.has(response.status)) {
    res.end();
    // What the program made for nobody may fail to be given up; the answer is whole all the same.
    await body?.cancel().catch(() => {});
    return;
  }
  await pump(body.getReader(), res);
}

function sendHead(response: WebResponse, res: ServerResponse): void {
  res.statusCode = response.status;
  if (response.statusText) res.statusMessage = response.statusText;
  // fetch() has decoded the body of what it fetched: neither of these holds for it any more.
  const isDecoded = Boolean(response.url) && response.headers.get('content-encoding') !== null;
  for (const [name, value] of response.headers) {
    const key = name.toLowerCase();
    if (key === 'set-cookie' || HOP_BY_HOP.has(key)) continue;
    if (isDecoded && (key === 'content-encoding' || key === 'content-length')) continue;
    res.setHeader(name, value);
  }
  const cookies = cookiesOf(response);
  if (cookies.length > 0) res.setHeader('set-cookie', cookies);
}

function cookiesOf({ headers }: WebResponse): string[] {
  if (headers.getSetCookie !== undefined) return headers.getSetCookie();
  // Before Node 18.14 they come joined. A comma that begins a cookie stands before a name and "="; one in a date does not.
  return headers.get('set-cookie')?.split(/,\s*(?=[^\s;,=]+=)/) ?? [];
}

async function pump(reader: WebReader, res: ServerResponse): Promise<void> {
  const gone = (): void => {
    // A source that fails to be given up has nobody left to tell.
    reader.cancel(new Error('Cannot send the rest: the client has closed the connection')).catch(() => {});
  };
  res.once('close', gone);
  if (res.destroyed) gone();
  try {
    let { done, value } = await reader.read();
    let next = done ? undefined : reader.read();
    if (next !== undefined && (await isThere(next)) && (await next).done && !res.headersSent) {
      // All of it is here, as it is for text: its length can be told.
      if (!res.hasHeader('content-length')) res.setHeader('content-length', bytesOf(value).length);
    }
    // More bytes than are announced would be taken for the next answer, fewer would be waited for.
    let leftBytes = res.hasHeader('content-length') ? Number(res.getHeader('content-length')) : undefined;
    while (!done && !res.destroyed) {
      const bytes = bytesOf(value);
      if (leftBytes !== undefined) leftBytes -= bytes.length;
      if (leftBytes !== undefined && leftBytes < 0) throw lengthError('longer');
      if (!res.write(bytes)) await drained(res);
      ({ done, value } = await (next ?? reader.read()));
      next = undefined;
    }
    if (leftBytes !== undefined && leftBytes > 0) throw lengthError('shorter');
    res.removeListener('close', gone);
    res.end();
  } catch (error) {
    res.removeListener('close', gone);
    if (res.destroyed) return;
    // The first error is the one that is answered.
    await reader.cancel(error).catch(() => {});
    answerError(res, error);
  }
}

/** Whether a promise settles without anything else having to happen: those that wait for events do not. */
function isThere(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  );
  return Promise.race([settled, new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError(`Cannot send a chunk of the body: found a ${typeof chunk}, expected a Uint8Array`);
}

function lengthError(found: string): RangeError {
  return new RangeError(`Cannot send a Response: its body is ${found} than its content-length, expected that length`);
}

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      res.removeListener('drain', done);
      res.removeListener('close', done);
      resolve();
    };
    res.on('drain', done);
    res.on('close', done);
  });
}
