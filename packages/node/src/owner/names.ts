import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { NameRecord } from '../deployments/index.ts';
import type { OwnerComponents } from './components.ts';
import { findRecord } from './lifecycle.ts';

const paramsSchema = z.object({ name: z.string() });
const moveSchema = z.strictObject({ itemHash: z.string() });
const rollbackSchema = z.strictObject({ to: z.string().optional() });
const renameSchema = z.strictObject({ to: z.string() });

/** Routes of names. Which one may be taken, and by whom, is decided by {@link OwnerComponents.names}. */
export function registerNames(app: FastifyInstance, components: OwnerComponents): void {
  const { names, stops, nameUrlsOf } = components;
  const shown = ({ name, address, itemHash, versions }: NameRecord) => ({
    ...{ name, address, itemHash: itemHash ?? null },
    ...nameUrlsOf(name),
    versions: versions.map((version) => ({
      ...{ version: version.version, itemHash: version.itemHash, namedMs: version.namedMs },
      current: version.itemHash === itemHash,
    })),
  });
  const nameOf = (params: unknown) => paramsSchema.parse(params).name;

  app.get('/names', async () => ({ names: names.list().map(shown) }));

  // Asked before the work of a deployment is done: may this owner have the name?
  app.get('/names/:name', async (request) => {
    const name = nameOf(request.params);
    const { address } = z.object({ address: z.string() }).parse(request.query);
    names.check(name, { address });
    const record = names.find(name);
    return { record: record ? shown(record) : null };
  });

  app.put('/names/:name', async (request) => {
    const { itemHash, content } = findRecord(moveSchema.parse(request.body).itemHash, components);
    return shown(names.move(nameOf(request.params), { itemHash, address: content.address, nowMs: Date.now() }));
  });

  app.post('/names/:name/rollback', async (request) => {
    const { to } = rollbackSchema.parse(request.body ?? {});
    const record = names.rollback(nameOf(request.params), { to });
    // Whoever goes back to a program wants it to answer.
    if (record.itemHash !== undefined) stops.delete(record.itemHash);
    return shown(record);
  });

  app.post('/names/:name/rename', async (request) => {
    return shown(names.rename(nameOf(request.params), renameSchema.parse(request.body).to));
  });

  app.delete('/names/:name', async (request) => {
    const record = names.get(nameOf(request.params));
    names.remove(record.name);
    return shown(record);
  });
}
