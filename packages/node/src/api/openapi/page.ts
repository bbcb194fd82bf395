import { createHash } from 'node:crypto';
import type { OpenApiDocument, Operation, Parameter } from './document.ts';
import { html, type Markup } from './html.ts';

const STYLE = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
h1 { margin-bottom: 0; }
h2 { border-bottom: 1px solid #8888; margin-top: 2rem; text-transform: capitalize; }
details { border: 1px solid #8884; border-radius: 4px; margin: .4rem 0; padding: .3rem .6rem; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 3.5rem; }
summary span { opacity: .75; }
pre { background: #8881; overflow-x: auto; padding: .5rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #8884; padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top; }
nav a { margin-right: 1rem; }
`;

/** What such a page may do: show itself in its own style, and nothing else. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface PageFacts {
  readonly title: string;
  readonly version: string;
}

/** The start page of a node: what it is, and where to read on. */
export function startPage({ title, version }: PageFacts): string {
  return page(
    title,
    html`<h1>${title}</h1>
<p>Version ${version}. A node of the network: it keeps signed messages and files, and runs programs.</p>
<nav><a href="/api/docs">Documentation of the API</a><a href="/api/openapi.json">OpenAPI document</a><a
  href="/metrics.json">Figures</a></nav>`,
  );
}

/** The documentation of the API as a page: everything is in it, and nothing in it runs. */
export function docsPage(document: OpenApiDocument, { title, version }: PageFacts): string {
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const tags = [...Map.groupBy(routes, ({ operation }) => operation.tags[0] ?? '')].sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return page(
    title,
    html`<h1>${title}</h1>
<p>Version ${version}. The same for programs: <a href="/api/openapi.json">openapi.json</a>. Any origin may call any route.
Lists in queries are separated by commas, or given as <code>name[]=</code> more than once. Errors are
<code>application/problem+json</code> and say what is wrong, where, and what to do next.</p>
<nav>${tags.map(([tag]) => html`<a href="#${tag}">${tag}</a>`)}</nav>
${tags.map(([tag, all]) => html`<h2 id="${tag}">${tag}</h2>${all.map(route)}`)}`,
  );
}

function page(title: string, body: Markup): string {
  return `<!doctype html>\n${html`<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title>`}
<style>${STYLE}</style></head><body>${body}</body></html>\n`;
}

function route({ path, method, operation }: { path: string; method: string; operation: Operation }): Markup {
  const { summary, parameters, requestBody, responses } = operation;
  return html`<details><summary><b>${method}</b> <code>${path}</code> <span>${summary}</span></summary>
${parameters.length > 0 && table(parameters)}
${requestBody !== undefined && schema('Body', requestBody)}
${schema('Answers', responses)}</details>
`;
}

function table(parameters: readonly Parameter[]): Markup {
  return html`<table><thead><tr><th>Parameter</th><th>In</th><th>What</th></tr></thead><tbody>${parameters.map(
    ({ name, in: where, required, schema: what }) => html`<tr><td><code>${name}</code>${required && ' (required)'}</td>
<td>${where}</td><td><code>${JSON.stringify(what)}</code></td></tr>`,
  )}</tbody></table>`;
}

function schema(title: string, value: unknown): Markup {
  return html`<h4>${title}</h4><pre>${JSON.stringify(value, null, 2)}</pre>`;
}
