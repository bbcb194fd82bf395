import { createHash } from 'node:crypto';
import { EventEmitter, on } from 'node:events';

export interface Link {
  code: string;
  url: string;
  visits: number;
}

export interface Visit {
  visits: number;
  at: string;
}

/** Short codes of URLs, and who follows them. */
export class Links {
  readonly #links = new Map<string, Link>();
  readonly #visited = new EventEmitter();

  constructor() {
    // One listener for each client that watches: as many as there are.
    this.#visited.setMaxListeners(0);
  }

  /** The same URL has the same code, however often it is added. */
  add(url: string): Link {
    const code = createHash('sha256').update(url).digest('base64url').slice(0, 8);
    const link = this.#links.get(code) ?? { code, url, visits: 0 };
    this.#links.set(code, link);
    return link;
  }

  all(): Link[] {
    return [...this.#links.values()];
  }

  get(code: string): Link | undefined {
    return this.#links.get(code);
  }

  /** Counts a visit and gives the URL; undefined if there is no such link. */
  visit(code: string): string | undefined {
    const link = this.#links.get(code);
    if (!link) return undefined;
    link.visits += 1;
    this.#visited.emit(code, { visits: link.visits, at: new Date().toISOString() } satisfies Visit);
    return link.url;
  }

  /** Visits from now on, until the signal. The first is how many there were. */
  async *visits(code: string, signal: AbortSignal): AsyncGenerator<Visit> {
    const events = on(this.#visited, code, { signal });
    yield { visits: this.#links.get(code)?.visits ?? 0, at: new Date().toISOString() };
    try {
      for await (const [visit] of events) yield visit;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
