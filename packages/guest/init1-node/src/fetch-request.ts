/** From Node's request to the web's. */
import type { IncomingMessage } from 'http';
import type { StreamSource, WebGlobals } from './web.ts';

/**
 * Makes the Request of `req`. Its body is read from the socket only as fast as the program reads it.
 * @throws TypeError for a host, target or method that the web's Request refuses
 */
export function makeRequest(req: IncomingMessage, web: WebGlobals, signal: object): object {
  const method = req.method ?? 'GET';
  const headers = new web.Headers();
  for (let at = 0; at + 1 < req.rawHeaders.length; at += 2) {
    headers.append(req.rawHeaders[at] ?? '', req.rawHeaders[at + 1] ?? '');
  }
  // The web's GET and HEAD have no body, and whatever came as one is dropped.
  const hasBody = method !== 'GET' && method !== 'HEAD' && isAnnounced(req);
  const body = hasBody ? new web.ReadableStream(bodySource(req), { highWaterMark: 0 }) : null;
  return new web.Request(urlOf(req), { method, headers, body, duplex: 'half', signal });
}

function isAnnounced({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function urlOf(req: IncomingMessage): string {
  const target = req.url ?? '/';
  // Absolute form, as proxies are sent it; and OPTIONS * for the server as a whole.
  if (/^https?:\/\//i.test(target)) return target;
  return `http://${req.headers.host || 'localhost'}${target.startsWith('/') ? '' : '/'}${target}`;
}

/** Chunk by chunk: one is taken from the socket when the program asks for one, and none before. */
function bodySource(req: IncomingMessage): StreamSource {
  let ended = false;
  const gone = new Promise<never>((_, reject) => {
    req.once('end', () => {
      ended = true;
    });
    req.once('close', () => {
      if (!ended) reject(new Error('Cannot read the body: the client has closed the connection, expected its rest'));
    });
    req.once('error', reject);
  });
  // Nobody need be waiting for it: whoever reads the body sees it end.
  gone.catch(() => {});
  return {
    async pull(controller) {
      for (;;) {
        const chunk: Buffer | null = ended ? null : req.read();
        if (chunk !== null) {
          controller.enqueue(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
          return;
        }
        if (ended) {
          controller.close();
          return;
        }
        await Promise.race([readableOrEnd(req), gone]);
      }
    },
    cancel() {
      req.resume();
    },
  };
}

function readableOrEnd(req: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      req.removeListener('readable', done);
      req.removeListener('end', done);
      resolve();
    };
    req.on('readable', done);
    req.on('end', done);
  });
}
