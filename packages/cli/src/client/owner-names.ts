import { itemHashSchema } from '@vmlet/messages/schema';
import * as z from 'zod';
import type { OwnerClient } from './owner.ts';

const nameSchema = z.object({
  name: z.string(),
  address: z.string(),
  itemHash: itemHashSchema.nullable(),
  url: z.string(),
  hostUrl: z.string(),
  versions: z.array(
    z.object({ version: z.number(), itemHash: itemHashSchema, namedMs: z.number(), current: z.boolean() }),
  ),
});

/** A name as its node lists it: where it leads, and its versions, the newest first. */
export type ListedName = z.output<typeof nameSchema>;

const namesSchema = z.object({ names: z.array(nameSchema) });
const checkSchema = z.object({ record: nameSchema.nullable() });

/** The names of a node. Each method throws what {@link OwnerClient} throws, ProblemError `NAME_TAKEN` and its like. */
export class OwnerNames {
  readonly #owner: OwnerClient;
  readonly #signal: AbortSignal;

  constructor(owner: OwnerClient, signal: AbortSignal) {
    this.#owner = owner;
    this.#signal = signal;
  }

  async list(): Promise<ListedName[]> {
    return (await this.#owner.ask('GET', '/names', { schema: namesSchema, signal: this.#signal })).names;
  }

  /** Whether an owner may have a name: what it is now, or null if nobody has it. */
  async check(name: string, address: string): Promise<ListedName | null> {
    const path = `${pathOf(name)}?address=${encodeURIComponent(address)}`;
    return (await this.#owner.ask('GET', path, { schema: checkSchema, signal: this.#signal })).record;
  }

  /** Leads a name to a program, from the next request on. */
  async move(name: string, itemHash: string): Promise<ListedName> {
    return await this.#change('PUT', pathOf(name), { itemHash });
  }

  /** Leads a name back, to the version that served before or to a given one. */
  async rollback(name: string, to: string | undefined): Promise<ListedName> {
    return await this.#change('POST', `${pathOf(name)}/rollback`, to === undefined ? {} : { to });
  }

  async rename(name: string, to: string): Promise<ListedName> {
    return await this.#change('POST', `${pathOf(name)}/rename`, { to });
  }

  /** Frees a name. What it was. */
  async remove(name: string): Promise<ListedName> {
    return await this.#change('DELETE', pathOf(name));
  }

  async #change(method: string, path: string, body?: object): Promise<ListedName> {
    const sent = body === undefined ? {} : { body };
    return await this.#owner.ask(method, path, { schema: nameSchema, ...sent, signal: this.#signal });
  }
}

function pathOf(name: string): string {
  return `/names/${encodeURIComponent(name)}`;
}
