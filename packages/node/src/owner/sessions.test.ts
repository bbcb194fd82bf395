import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { encodeExecRequest } from '@vmlet/guest-protocol/session-requests';
import type { ItemHash } from '@vmlet/messages';
import fastify from 'fastify';
import { describe, expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import type { Lease, Runnable } from '../executions/index.ts';
import type { StreamRequest } from '../machines/index.ts';
import { registerSessions, type SessionComponents } from './sessions.ts';

const PROGRAM = 'c'.repeat(64) as ItemHash;

/** The routes of sessions in front of a machine that is the test's: `guest` is its end of the stream. */
async function start(openSession?: () => Promise<Duplex>) {
  const app = fastify({ forceCloseConnections: true });
  const [host, guest] = duplexPair();
  const asked: StreamRequest[] = [];
  const given = Promise.withResolvers<void>();
  const lease: Pick<Lease, 'openSession'> & Disposable = {
    openSession: async (request) => {
      asked.push(request);
      return openSession ? await openSession() : host;
    },
    [Symbol.dispose]: () => given.resolve(),
  };
  const components: SessionComponents = {
    ledger: {
      program: (hash) =>
        hash === PROGRAM
          ? { itemHash: PROGRAM, content: { variables: { WORD: 'hi', LONG: 'x'.repeat(40_000) } } }
          : undefined,
    },
    findProgram: (): Runnable => ({ itemHash: PROGRAM, memoryMiB: 1 }) as Runnable,
    acquire: async () => lease,
  };
  registerSessions(app, components);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return { app, guest, host, asked, given: given.promise, port, [Symbol.asyncDispose]: () => app.close() };
}

/** Asks for a session; a socket if it is begun, else the answer. */
async function ask(port: number, path: string, upgrade = 'vmlet-session'): Promise<Duplex | IncomingMessage> {
  const outgoing = httpRequest({ port, path, headers: { connection: 'Upgrade', upgrade }, agent: false }).end();
  const begun = Promise.withResolvers<Duplex | IncomingMessage>();
  outgoing.once('upgrade', (_answer, socket) => begun.resolve(socket));
  outgoing.once('response', begun.resolve).once('error', begun.reject);
  return await begun.promise;
}

const REQUEST = Buffer.from([1, 2, 255]).toString('base64url');
const PATH = `/programs/${PROGRAM}/sessions?kind=exec&request=${REQUEST}`;

describe('sessions', () => {
  test('sessions: become a stream into the machine, byte for byte, and give the place back at its end', async () => {
    await using it = await start();
    const socket = (await ask(it.port, PATH)) as Duplex;
    socket.write('from the client');
    expect(String((await once(it.guest, 'data'))[0])).toBe('from the client');
    it.guest.end('from the guest');
    expect(await text(socket)).toBe('from the guest');
    socket.destroy();
    await it.given;
    expect(it.asked).toEqual([{ kind: 2, payload: Buffer.from([1, 2, 255]) }]);
  });

  test('sessions: give a command the variables of the program, and a copy none', async () => {
    await using it = await start();
    const request = encodeExecRequest({ argv: ['env'], env: { A: '1' }, folder: '/' }).toString('base64url');
    const socket = (await ask(it.port, `/programs/${PROGRAM}/sessions?kind=exec&request=${request}`)) as Duplex;
    socket.destroy();
    await it.given;
    expect(it.asked[0]?.payload.subarray(8).toString()).toBe('env\0/\0WORD=hi\0A=1\0');
    await using other = await start();
    ((await ask(other.port, `/programs/${PROGRAM}/sessions?kind=copy&request=${request}`)) as Duplex).destroy();
    await other.given;
    expect(other.asked[0]?.payload.toString('base64url')).toBe(request);
  });

  test('sessions: break off when the client closes its side, or the node stops', async () => {
    await using it = await start();
    const socket = (await ask(it.port, PATH)) as Duplex;
    socket.end();
    await it.given;
    expect(it.host.destroyed).toBe(true);
    await using other = await start();
    const open = (await ask(other.port, PATH.replace('exec', 'copy'))) as Duplex;
    const closed = once(open, 'close');
    await other.app.close();
    await closed;
    await other.given;
    expect(other.asked[0]?.kind).toBe(3);
  });

  test.each([
    [`/programs/${'d'.repeat(64)}/sessions?kind=exec&request=AA`, 404, 'PROGRAM_NOT_FOUND'],
    [`/programs/${PROGRAM}/sessions?kind=other&request=AA`, 400, 'OWNER_REQUEST_MALFORMED'],
    [`/programs/${PROGRAM}/sessions?kind=exec`, 400, 'OWNER_REQUEST_MALFORMED'],
    [`/programs/${PROGRAM}/sessions?kind=exec&request=%00`, 400, 'OWNER_REQUEST_MALFORMED'],
    ['/programs', 400, 'OWNER_REQUEST_MALFORMED'],
  ])('sessions: are refused with a reason, at %s', async (path, status, code) => {
    await using it = await start();
    const answer = (await ask(it.port, path)) as IncomingMessage;
    expect([answer.statusCode, JSON.parse(await text(answer)).code]).toEqual([status, code]);
    expect(it.asked).toEqual([]);
  });

  test('sessions: say why the machine begins none, and are no WebSocket', async () => {
    await using it = await start(async () => {
      throw new VmletError('SESSION_REFUSED', { operands: { found: 'there is no shell' } });
    });
    const refused = (await ask(it.port, PATH)) as IncomingMessage;
    expect(refused.statusCode).toBe(422);
    expect(JSON.parse(await text(refused)).cause).toContain('there is no shell');
    await it.given;
    expect(((await ask(it.port, PATH, 'websocket')) as IncomingMessage).statusCode).toBe(400);
  });
});
