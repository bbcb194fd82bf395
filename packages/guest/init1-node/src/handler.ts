/** Serves a `(request, response)` function. */
import type { RequestListener } from 'http';
import { answerError, answerStatus } from './answer.ts';
import type { Handler, Next } from './target.ts';

/**
 * The listener of the `request` event. What the handler throws, or its promise is rejected with, is a 500 and goes to
 * the log; whatever else goes wrong is uncaught, as everywhere in Node.
 */
export function handlerListener(handler: Handler): RequestListener {
  // Express and Connect answer by themselves what none of their routes does, unless they are given `next`.
  const isApplication = typeof (handler as { handle?: unknown }).handle === 'function';
  const takesNext = handler.length > 2 && !isApplication;
  return function listener(this: unknown, req, res) {
    const next: Next = (error) => (error ? answerError(res, error) : answerStatus(res, 404));
    try {
      const result = takesNext ? handler.call(this, req, res, next) : handler.call(this, req, res);
      if (isThenable(result)) result.then(undefined, (error) => answerError(res, error));
    } catch (error) {
      answerError(res, error);
    }
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (Object(value) as { then?: unknown }).then === 'function';
}
