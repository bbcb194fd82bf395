import type { ServerResponse } from 'node:http';
import { VmletError } from '../errors.ts';

/** A signal that aborts with `CLIENT_GONE` when the client is gone before it was answered. */
export function requestSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new VmletError('CLIENT_GONE'));
  });
  return controller.signal;
}
