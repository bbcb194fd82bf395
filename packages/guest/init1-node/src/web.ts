/** The web's interfaces as far as the launcher uses them: the types of Node 14 have none of them. */

export interface WebHeaders extends Iterable<[string, string]> {
  append(name: string, value: string): void;
  get(name: string): string | null;
  getSetCookie?(): string[];
}

export interface WebReader {
  read(): Promise<{ done: boolean; value?: unknown }>;
  cancel(reason?: unknown): Promise<void>;
}

export interface WebStream {
  getReader(): WebReader;
  cancel(reason?: unknown): Promise<void>;
}

export interface WebResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: WebHeaders;
  readonly body: WebStream | null;
  readonly bodyUsed: boolean;
  /** Empty but for a response that came from `fetch()`. */
  readonly url: string;
}

/** What a program exports: `fetch(request)`. What it returns is checked when it does. */
export type Fetch = (request: unknown) => unknown;

interface StreamController {
  enqueue(chunk: Uint8Array): void;
  close(): void;
  error(reason: unknown): void;
}

export interface StreamSource {
  pull(controller: StreamController): void | Promise<void>;
  cancel(reason: unknown): void;
}

export interface RequestInit {
  method: string;
  headers: WebHeaders;
  body: WebStream | null;
  duplex: 'half';
  signal: object;
}

/** The web's globals that a `fetch` program needs. */
export interface WebGlobals {
  Request: new (url: string, init: RequestInit) => object;
  Response: new (body: string, init: { headers: Record<string, string> }) => WebResponse;
  Headers: new () => WebHeaders;
  ReadableStream: new (source: StreamSource, strategy: { highWaterMark: number }) => WebStream;
  AbortController: new () => { readonly signal: { readonly aborted: boolean }; abort(): void };
}

const NAMES = ['Request', 'Response', 'Headers', 'ReadableStream', 'AbortController'] as const;

/** Whether this Node has them; to ask loads none of them, which takes as long as half of Node's own start. */
export function hasWebGlobals(): boolean {
  return NAMES.every((name) => name in globalThis);
}

/** The globals, loaded now where they were not yet. */
export function webGlobals(): WebGlobals {
  const scope: object = globalThis;
  const found = scope as WebGlobals;
  return Object.assign({}, ...NAMES.map((name) => ({ [name]: found[name] })));
}
