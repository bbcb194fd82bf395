/**
 * Installs a program's packages inside a machine: a zip with package.json comes in, one of node_modules goes out.
 *
 * Loaded by the launcher as a program of its own. PUT takes authorities that npm is to trust beside its own, in PEM. POST
 * takes package.json with its lock file, .npmrc, package.json files of workspaces and archives that are named by path.
 * Answers: 200 with the zip, 422 with the end of npm's output, 400 for what is no such zip, 405 for other methods.
 * Settings of npm come with the machine's variables. What npm says goes to stderr as it says it.
 */
import { spawn } from 'child_process';
import { existsSync, promises as files } from 'fs';
import type { IncomingMessage, ServerResponse } from 'http';
import { tmpdir } from 'os';
import { dirname, join } from 'path';
import { installedEntries } from './install-tree.ts';
import { readZip, ZipWriter } from './install-zip.ts';

/** How much of npm's output an answer holds: its end says why it failed. */
const TAIL_BYTES = 65_536;
const LOCKS = ['npm-shrinkwrap.json', 'package-lock.json'];
const QUIET = ['--no-audit', '--no-fund', '--no-update-notifier', '--no-progress', '--loglevel=warn'];

interface Manifest extends Record<string, unknown> {
  scripts?: unknown;
  devDependencies?: unknown;
}

/** A request that cannot be met; status and text are the answer. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

/** Answers one request. */
export function handler(request: IncomingMessage, response: ServerResponse): void {
  answer(request, response).catch((error: unknown) => {
    const status = error instanceof Refusal ? error.status : 500;
    // An answer that has begun cannot become another one: it is cut.
    if (response.headersSent) response.destroy();
    else response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(String(messageOf(error)));
  });
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await receive(request);
  if (request.method === 'PUT') {
    const path = join(tmpdir(), 'vmlet-authorities.pem');
    await files.writeFile(path, body);
    process.env.npm_config_cafile = path;
    response.writeHead(204).end();
    return;
  }
  if (request.method !== 'POST') throw new Refusal(405, `Cannot answer ${request.method}: expected POST of a zip`);
  const folder = await files.mkdtemp(join(tmpdir(), 'vmlet-install-'));
  try {
    await unpack(body, folder);
    await install(folder);
    response.writeHead(200, { 'content-type': 'application/zip' });
    const zip = new ZipWriter(response);
    for await (const entry of installedEntries(folder)) await zip.add(entry);
    await zip.end();
  } finally {
    await files.rmdir(folder, { recursive: true });
  }
}

async function receive(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function unpack(body: Buffer, folder: string): Promise<void> {
  let entries: ReturnType<typeof readZip>;
  try {
    entries = readZip(body);
  } catch (error) {
    throw new Refusal(400, `Cannot unpack body: ${messageOf(error)}, expected a zip of a folder`);
  }
  for (const { path, bytes } of entries) {
    await files.mkdir(dirname(join(folder, path)), { recursive: true });
    await files.writeFile(join(folder, path), bytes);
  }
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest))
    throw new Refusal(400, 'Cannot install: no "package.json" in the zip, expected one at its top');
  await reduce(manifest, isLocked(folder));
}

/**
 * The project's own scripts want its sources and what it is developed with; neither is here. npm asks for what is for
 * development even if it does not install it; only what is locked has to stay as the lock file has it.
 */
async function reduce(path: string, locked: boolean): Promise<void> {
  try {
    const { scripts: _, devDependencies, ...rest } = Object(JSON.parse(await files.readFile(path, 'utf8'))) as Manifest;
    await files.writeFile(path, JSON.stringify(locked ? { ...rest, devDependencies } : rest));
  } catch (error) {
    throw new Refusal(422, `Cannot read package.json: ${messageOf(error)}, expected JSON`);
  }
}

async function install(folder: string): Promise<void> {
  const command = isLocked(folder) ? ['ci'] : ['install', '--no-package-lock'];
  const { status, output } = await run('npm', [...command, '--omit=dev', ...QUIET], folder);
  if (status !== 0) throw new Refusal(422, output);
}

function isLocked(folder: string): boolean {
  return LOCKS.some((name) => existsSync(join(folder, name)));
}

/** Runs a command. Gives its status and the end of what it said, which also goes to stderr. */
function run(command: string, args: string[], folder: string): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    let tail = Buffer.alloc(0);
    const keep = (chunk: Buffer): void => {
      process.stderr.write(chunk);
      tail = Buffer.concat([tail, chunk]).slice(-TAIL_BYTES);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => {
      const found = `no ${command} can be started (${error.message}), expected one in the runtime`;
      reject(new Refusal(422, `Cannot install packages: ${found}`));
    });
    child.on('close', (status) => resolve({ status, output: tail.toString() }));
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
