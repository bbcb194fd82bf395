/** Serves a web-standard `fetch(request)` function. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'http';
import { answerError, answerStatus } from './answer.ts';
import { makeRequest } from './fetch-request.ts';
import { isResponse, sendResponse } from './fetch-response.ts';
import { describe } from './target.ts';
import type { Fetch, WebGlobals } from './web.ts';

/** The listener of the `request` event. A rejection of `fetch`, and no Response, is a 500 and goes to the log. */
export function fetchListener(fetch: Fetch, web: WebGlobals): RequestListener {
  return (req, res) => {
    if (req.headers.upgrade?.toLowerCase() === 'websocket') answerStatus(res, 501);
    else void answer(fetch, { web, req, res });
  };
}

interface Exchange {
  web: WebGlobals;
  req: IncomingMessage;
  res: ServerResponse;
}

/** Never rejects. */
async function answer(fetch: Fetch, { web, req, res }: Exchange): Promise<void> {
  const controller = new web.AbortController();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort();
    // What the program left of the body would hold up the next request on this connection.
    req.resume();
  });
  let request: object;
  try {
    request = makeRequest(req, web, controller.signal);
  } catch {
    answerStatus(res, 400);
    return;
  }
  try {
    const response = await fetch(request);
    if (!isResponse(response)) {
      throw new TypeError(`Cannot answer ${req.method} ${req.url}: found ${describe(response)}, expected a Response`);
    }
    await sendResponse(response, req, res);
  } catch (error) {
    // A program that gives up because its client did has not failed.
    if (!controller.signal.aborted) answerError(res, error);
  }
}
