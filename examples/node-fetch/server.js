/** A program that is one function from a web Request to a web Response, without a framework. */

/** Routes in the order they are tried. */
const routes = [
  ['GET', '/', index],
  ['GET', '/time/*', time],
  ['POST', '/words', words],
  ['POST', '/upper', upper],
  ['GET', '/count/:limit', count],
].map(([method, pathname, handle]) => ({ method, pattern: new URLPattern({ pathname }), handle }));

export default {
  async fetch(request) {
    const found = routes.filter(({ pattern }) => pattern.test(request.url));
    const route = found.find(({ method }) => method === request.method);
    if (!route) {
      if (found.length === 0) return problem(404, 'Nothing is there');
      const allow = found.map(({ method }) => method).join(', ');
      return problem(405, `Expected ${allow}`, { allow });
    }
    const { groups } = route.pattern.exec(request.url).pathname;
    return await route.handle(request, groups);
  },
};

function index() {
  return Response.json({ routes: routes.map(({ method, pattern }) => `${method} ${pattern.pathname}`) });
}

/** `/time/Europe/Paris`: the time there. */
function time(_request, { 0: timeZone }) {
  const now = new Date();
  try {
    const local = now.toLocaleString('sv-SE', { timeZone });
    return Response.json({ timeZone, local, utc: now.toISOString() });
  } catch {
    // What toLocaleString throws for names that it does not know.
    return problem(404, `No time zone has the name "${timeZone}"`);
  }
}

/** JSON in, JSON out. */
async function words(request) {
  let text;
  try {
    ({ text } = await request.json());
  } catch {
    return problem(400, 'The body is no JSON');
  }
  if (typeof text !== 'string') return problem(400, 'Expected {"text": "..."}');
  const found = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const groups = Object.groupBy(found, (word) => word);
  const counts = Object.entries(groups).map(([word, all]) => [word, all.length]);
  return Response.json(Object.fromEntries(counts.sort(([, a], [, b]) => b - a)));
}

/** A body that goes through as it comes, however long it is: nothing is kept. */
function upper(request) {
  const change = new TransformStream({ transform: (text, stream) => stream.enqueue(text.toUpperCase()) });
  const body = request.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(change)
    .pipeThrough(new TextEncoderStream());
  return new Response(body, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
}

/** A line for each number, sent when it is due. `request.signal` ends it when the client goes. */
function count(request, { limit }) {
  const last = Number(limit);
  if (!Number.isInteger(last) || last < 1 || last > 1000) return problem(400, 'Expected a number from 1 to 1000');
  const encoder = new TextEncoder();
  async function* lines() {
    for (let number = 1; number <= last; number += 1) {
      if (request.signal.aborted) return;
      yield encoder.encode(`${number}\n`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return new Response(ReadableStream.from(lines()), { headers: { 'content-type': 'text/plain' } });
}

function problem(status, title, headers = {}) {
  return Response.json(
    { status, title },
    { status, headers: { ...headers, 'content-type': 'application/problem+json' } },
  );
}
