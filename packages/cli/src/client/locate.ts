import { join } from 'node:path';
import { readJsonIfExists } from '@vmlet/host';
import * as z from 'zod';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { OwnerClient } from './owner.ts';

/** Where a node is. */
export interface NodeAddress {
  /** Of its public API. */
  readonly url: string;
  /** Undefined for a node that is known by its URL only. */
  readonly ownerSocket: string | undefined;
}

const nodeFileSchema = z.object({ format: z.literal(1), url: z.string(), ownerSocket: z.string() });

/**
 * Finds the node: --node or VMLET_NODE, else the one that runs from the home. A URL that is the home's node's own
 * comes with its owner socket.
 * @throws CliError `NODE_NOT_RUNNING`, `NODE_URL_MALFORMED`
 */
export async function locateNode({ nodeUrl, paths }: Pick<Context, 'nodeUrl' | 'paths'>): Promise<NodeAddress> {
  const wanted = nodeUrl === undefined ? undefined : checkUrl(nodeUrl);
  const local = await localNode(paths.home);
  if (local !== undefined && (wanted === undefined || wanted === local.url)) return local;
  if (wanted === undefined) throw new CliError('NODE_NOT_RUNNING', { operands: { home: paths.home } });
  return { url: wanted, ownerSocket: undefined };
}

/** What the node of a home says of itself; undefined if none runs, as far as its files tell. */
export async function localNode(home: string): Promise<NodeAddress | undefined> {
  const value = await readJsonIfExists(join(home, 'node.json')).catch(() => undefined);
  return nodeFileSchema.safeParse(value).data;
}

/**
 * The owner's commands of a node.
 * @param need what the command wants to do, and what else can be done where it cannot
 * @throws CliError `OWNER_SOCKET_NEEDED`
 */
export function ownerOf(node: NodeAddress, need: { what: string; instead: string }): OwnerClient {
  if (node.ownerSocket === undefined) {
    throw new CliError('OWNER_SOCKET_NEEDED', { operands: { ...need, node: node.url } });
  }
  return new OwnerClient(node.ownerSocket);
}

/** Reads the URL of a node. @throws CliError `NODE_URL_MALFORMED` */
export function checkUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.host === '') {
    const found = url === null ? 'it is no URL' : `its scheme is "${url.protocol}"`;
    throw new CliError('NODE_URL_MALFORMED', { operands: { node: text, found } });
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '') {
    const found = 'it has more than scheme, host, port and path';
    throw new CliError('NODE_URL_MALFORMED', { operands: { node: text, found } });
  }
  return url.href.replace(/\/$/, '');
}
