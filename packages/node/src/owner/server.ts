import { chmod, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import fastify, { type FastifyInstance } from 'fastify';
import * as z from 'zod';
import { asVmletError, toProblem, VmletError } from '../errors.ts';
import { registerBlocks } from './blocks.ts';
import type { OwnerComponents } from './components.ts';
import { registerImports } from './imports.ts';
import { goneSignal, registerLifecycle } from './lifecycle.ts';
import { registerNames } from './names.ts';
import { registerPrograms } from './programs.ts';
import { registerSessions } from './sessions.ts';
import { registerTimelines } from './timelines.ts';
import { registerTriggers } from './triggers.ts';
import { registerUsage } from './usage.ts';

/** What names the packages of one program, and archives of packages that come with it. */
const MAX_ARCHIVE_BYTES = 256 * 1024 * 1024;
/** The request of a session is part of its path. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Of a Unix socket (sun_path), without its NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

const collectSchema = z.object({ dryRun: z.stringbool().default(false) });
const installSchema = z.object({ runtime: z.string(), with: z.enum(['pip', 'npm']).default('pip') });

/**
 * Serves the owner's commands on a Unix socket that only its user may open; being able to open it is the permission.
 * Errors carry their details here, tracebacks among them.
 * @throws VmletError `PORT_IN_USE` if the socket cannot be made
 */
export async function serveOwner(path: string, components: OwnerComponents): Promise<AsyncDisposable> {
  const app = fastify({
    bodyLimit: MAX_ARCHIVE_BYTES,
    forceCloseConnections: true,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
  });
  app.setErrorHandler((error, _request, reply) => {
    const known = error instanceof z.ZodError ? malformed(error) : (unreadable(error) ?? asVmletError(error));
    void reply
      .code(known.entry.status)
      .type('application/problem+json')
      .send(toProblem(known, { forOwner: true }));
  });
  app.get('/status', async () => components.status());
  app.get('/runtimes', async () => ({ runtimes: components.runtimes() }));
  app.get('/doctor', async () => ({ checks: await components.doctor() }));
  app.post('/gc', async (request) => components.collect(collectSchema.parse(request.query)));
  registerPrograms(app, components);
  registerLifecycle(app, components);
  registerNames(app, components);
  registerUsage(app, components);
  registerTimelines(app, components);
  registerInstall(app, components);
  const { ledger, findProgram, executions, timelines } = components;
  const acquire: typeof executions.acquire = async (program, signal) =>
    (await timelines.watch(program.itemHash, () => executions.acquire(program, signal))).got;
  registerSessions(app, { ledger, findProgram, acquire });
  registerBlocks(app, components);
  registerImports(app, components);
  registerTriggers(app, components);
  // The home is locked by this process: a socket found here belongs to a node that was killed.
  await rm(path, { force: true });
  try {
    await app.listen({ path });
  } catch (cause) {
    throw listenFailure(path, cause);
  }
  await chmod(path, 0o600);
  return {
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await rm(path, { force: true });
    },
  };
}

function listenFailure(path: string, cause: unknown): VmletError {
  const sizeBytes = Buffer.byteLength(path);
  const long = `a path of ${sizeBytes} bytes, and the kernel takes ${MAX_SOCKET_PATH_BYTES} (use a shorter --home)`;
  const found = sizeBytes > MAX_SOCKET_PATH_BYTES ? long : cause instanceof Error ? cause.message : String(cause);
  return new VmletError('PORT_IN_USE', { operands: { address: path, found }, cause });
}

function registerInstall(app: FastifyInstance, components: OwnerComponents): void {
  app.addContentTypeParser('application/zip', (_request, payload, done) => done(null, payload));
  app.post('/install', async (request, reply) => {
    const { runtime, with: installer } = installSchema.parse(request.query);
    const archive = request.body as Readable;
    const installed = await components.install({ runtime, installer, archive, signal: goneSignal(reply) });
    if (!installed.ok) throw new VmletError('INSTALL_FAILED', { operands: { installer }, detail: installed.output });
    return reply.type('application/zip').send(installed.archive);
  });
}

/** What fastify itself refuses, such as a body that is no JSON. */
function unreadable(error: unknown): VmletError | undefined {
  if (!(error instanceof Error) || !('statusCode' in error) || !('code' in error)) return undefined;
  if (Number(error.statusCode) >= 500 || !/^FST_/.test(String(error.code))) return undefined;
  return new VmletError('OWNER_REQUEST_MALFORMED', { operands: { found: error.message }, cause: error });
}

function malformed(error: z.ZodError): VmletError {
  const issue = error.issues[0];
  const found = `"${issue?.path.join('.') ?? ''}": ${issue?.message ?? 'malformed'}`;
  return new VmletError('OWNER_REQUEST_MALFORMED', { operands: { found }, cause: error });
}
