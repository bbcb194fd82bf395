/** A link shortener on Hono, in TypeScript that Node.js runs as it is: middleware, validation, redirects, events. */
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { secureHeaders } from 'hono/secure-headers';
import { streamSSE } from 'hono/streaming';
import { timing } from 'hono/timing';
import { validator } from 'hono/validator';
import { Links } from './links.ts';

/** In memory, for as long as the machine is awake. */
const links = new Links();
const app = new Hono();

app.use(secureHeaders());
app.use('/links/*', timing());

app.get('/', (c) => c.text('POST /links {"url": "https://..."}, then GET /<code>\n'));

const newLink = validator('json', (value, c) => {
  const url = typeof value.url === 'string' && URL.canParse(value.url) ? new URL(value.url) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    return c.json({ error: 'Expected {"url": "https://..."}' }, 400);
  }
  return { url: url.href };
});

app.post('/links', newLink, (c) => {
  const link = links.add(c.req.valid('json').url);
  return c.json(link, 201, { location: `/links/${link.code}` });
});

app.get('/links', (c) => c.json({ links: links.all() }));

app.get('/links/:code', (c) => {
  const link = links.get(c.req.param('code'));
  if (!link) throw new HTTPException(404, { message: 'No link has that code' });
  return c.json(link);
});

/** Server-sent events: each visit of a link, as it happens. */
app.get('/links/:code/visits', (c) => {
  const code = c.req.param('code');
  if (!links.get(code)) throw new HTTPException(404, { message: 'No link has that code' });
  return streamSSE(c, async (stream) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort());
    for await (const visit of links.visits(code, gone.signal)) {
      await stream.writeSSE({ event: 'visit', data: JSON.stringify(visit) });
    }
  });
});

app.get('/:code', (c) => {
  const url = links.visit(c.req.param('code'));
  return url === undefined ? c.notFound() : c.redirect(url, 302);
});

app.notFound((c) => c.json({ error: 'Nothing is there' }, 404));
app.onError((error, c) => {
  if (error instanceof HTTPException) return c.json({ error: error.message }, error.status);
  console.error(error);
  return c.json({ error: 'Internal error' }, 500);
});

export default app;
