import { itemHashSchema } from '@vmlet/messages/schema';
import * as z from 'zod';
import type { OwnerClient } from './owner.ts';

const triggerSchema = z.object({
  itemHash: itemHashSchema,
  on: z.array(z.record(z.string(), z.unknown())),
  waiting: z.number(),
  dead: z.number(),
});
const triggersSchema = z.object({ triggers: z.array(triggerSchema) });
const deliverySchema = z.object({
  id: z.number(),
  program: itemHashSchema,
  message: itemHashSchema,
  tries: z.number(),
  createdMs: z.number(),
  failure: z.string().nullable(),
});
const deliveriesSchema = z.object({ deliveries: z.array(deliverySchema) });
const retriedSchema = z.object({ retried: z.number() });

/** A program that listens to messages, and how many it has not taken. */
export type ListedTrigger = z.output<typeof triggerSchema>;

/** A message that a program has not taken. */
export type ListedDelivery = z.output<typeof deliverySchema>;

/** What programs listen to, and their dead letters. Each method throws what {@link OwnerClient} throws. */
export class OwnerTriggers {
  readonly #owner: OwnerClient;
  readonly #signal: AbortSignal;

  constructor(owner: OwnerClient, signal: AbortSignal) {
    this.#owner = owner;
    this.#signal = signal;
  }

  /** All programs that listen, or one. */
  async list(program: string | undefined): Promise<ListedTrigger[]> {
    const path = `/triggers${queryOf({ program })}`;
    return (await this.#owner.ask('GET', path, { schema: triggersSchema, signal: this.#signal })).triggers;
  }

  /** Dead letters of all programs, or of one, the oldest first. */
  async dead(program: string | undefined, limit: number): Promise<ListedDelivery[]> {
    const path = `/triggers/dead${queryOf({ program, limit: String(limit) })}`;
    return (await this.#owner.ask('GET', path, { schema: deliveriesSchema, signal: this.#signal })).deliveries;
  }

  /** Sends one dead letter again, or all, of one program or of all. Gives how many. */
  async retry(wanted: { id: number } | { all: true; program?: string }): Promise<number> {
    const sent = { schema: retriedSchema, body: wanted, signal: this.#signal };
    return (await this.#owner.ask('POST', '/triggers/retry', sent)).retried;
  }
}

function queryOf(members: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(members)) if (value !== undefined) query.set(name, value);
  return query.size === 0 ? '' : `?${query}`;
}
