import type { IncomingMessage } from 'node:http';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { findProgram, isItemHash } from '../client/find-program.ts';
import { broken, readText, send } from '../client/http.ts';
import { locateNode, type NodeAddress, ownerOf } from '../client/locate.ts';
import { isProblemType, ProblemError, parseProblem } from '../client/problem.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { readRequestBody } from '../invoke/body.ts';
import { explainFailure } from '../invoke/explain.ts';
import { collectAnswer, showAnswer } from '../invoke/show.ts';
import { parseServerTiming, showTiming, type Timing } from '../invoke/timing.ts';
import { header, isProgramName } from '../option-values.ts';
import { existingAddress } from '../publish/owner-key.ts';
import { findPublicProgram } from '../publish/program-names.ts';

/** A problem document longer than this is a program's own. */
const MAX_PROBLEM_BYTES = 64 * 1024;

interface InvokeOptions {
  method?: string;
  header?: [string, string][];
  data?: string;
  include?: boolean;
  timing?: boolean;
}

/** `vmlet invoke`. */
export function registerInvoke({ program, run }: Cli): void {
  const command = program
    .command('invoke')
    .summary('send one request to a program')
    .description(
      'Sends a request and streams the body of the answer to stdout as it comes. An answer that is not a 2xx ends with ' +
        'status 5, its body printed all the same; a failure of the program comes with the end of its log.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more; ADDRESS/NAME on a node of others')
    .argument('[path]', 'path and query', '/')
    .option('-X, --method <method>', 'HTTP method (default: GET, or POST with --data)')
    .option('-H, --header <"name: value">', 'request header; may be given again', header)
    .option('-d, --data <text|@file|->', 'request body: a text, a file, or standard input')
    .option('-i, --include', 'print status and headers before the body')
    .option('--timing', 'print how long it took on stderr, by phase if a machine had to wake');
  addExamples(command, [
    ['vmlet invoke hello', 'GET /'],
    [`vmlet invoke hello '/items/7?full=1' --timing`, 'another path, and how long it took'],
    [`vmlet invoke hello /echo -d '{"a": 1}'`, 'POST of JSON'],
    ['vmlet invoke hello /upload -d @photo.jpg -H "content-type: image/jpeg"', 'POST of a file'],
  ]);
  command.action(async (wanted: string, path: string, options: InvokeOptions, self: Command) => {
    await run(self, (context) => invoke({ wanted, path, options }, context));
  });
}

interface Invocation {
  wanted: string;
  path: string;
  options: InvokeOptions;
}

async function invoke({ wanted, path, options }: Invocation, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const node = await locateNode(context);
  const itemHash = isItemHash(wanted) ? wanted : await lookUp(wanted, node, context);
  const body = await readRequestBody(options.data, context);
  const { include = false } = options;
  const origin = { url: node.url };
  const sentMs = Date.now();
  const started = performance.now();
  const answer = await send(origin, {
    method: (options.method ?? (body === undefined ? 'GET' : 'POST')).toUpperCase(),
    path: `/vm/${itemHash}${requestPath(path)}`,
    headers: requestHeaders(options.header ?? [], body?.headers ?? {}),
    body: body?.bytes,
    signal,
  });
  const headMs = performance.now() - started;
  const problem = await readProblem(answer, { origin, signal });
  const bytes: AsyncIterable<Uint8Array> = problem === undefined ? answer : once(problem.text);
  const timingOf = (): Timing => ({
    headMs: rounded(headMs),
    totalMs: rounded(performance.now() - started),
    phases: parseServerTiming(answer.headers['server-timing']),
  });
  try {
    if (output.isJson) output.json({ ...(await collectAnswer(answer, bytes)), timing: timingOf() });
    else if (problem?.error === undefined || !output.isTerminal || include)
      await showAnswer(answer, bytes, { output, signal, include });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof CliError ? error : broken(origin, 'its end is missing', error);
  }
  if (options.timing && !output.isJson) showTiming(timingOf(), output);
  if (problem?.error) throw await explainFailure(problem.error, { node, itemHash, sinceMs: sentMs, signal });
  const status = answer.statusCode ?? 0;
  if (status < 200 || status > 299) throw answered(status, { location: answer.headers.location, itemHash });
}

/** The error for an answer of the program that is no success; its exit status is `programFailed`. */
function answered(
  status: number,
  { location, itemHash }: { location: string | undefined; itemHash: string },
): CliError {
  const logs = `See what the program says with: vmlet logs ${itemHash.slice(0, 12)}`;
  const next = location === undefined ? logs : `Follow it: it points to "${location}"`;
  return new CliError('PROGRAM_ANSWERED', { operands: { status, next } });
}

async function lookUp(wanted: string, node: NodeAddress, { paths, signal }: Context): Promise<string> {
  if (node.ownerSocket === undefined) {
    const own = await existingAddress(paths.config);
    const found = await findPublicProgram(wanted, { api: new PublicApi(node.url), own, signal });
    if (found !== undefined) return found;
  }
  // A node resolves the names of programs itself.
  if (node.ownerSocket === undefined && isProgramName(wanted)) return wanted;
  const owner = ownerOf(node, { what: `look up "${wanted}"`, instead: ', or give a name or the whole item_hash' });
  return findProgram(wanted, await owner.programs(signal), { strict: false, nowMs: Date.now() }).itemHash;
}

/** The text of a short problem document, and the error if it is the platform's: programs may answer with their own. */
async function readProblem(
  answer: IncomingMessage,
  reading: { origin: { url: string }; signal: AbortSignal },
): Promise<{ text: string; error: ProblemError | undefined } | undefined> {
  const sizeBytes = Number(answer.headers['content-length'] ?? Number.NaN);
  const isProblem = (answer.statusCode ?? 0) >= 400 && isProblemType(answer.headers['content-type']);
  if (!isProblem || !(sizeBytes <= MAX_PROBLEM_BYTES)) return undefined;
  const text = await readText(answer, reading);
  const problem = parseProblem(text);
  return { text, error: problem && new ProblemError(problem) };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** As a request line has it: from a slash on, without what cannot stand there. */
function requestPath(path: string): string {
  const escaped = path.replace(/#.*$/s, '').replace(/[^\x21-\x7e]+/gu, encodeURIComponent);
  return escaped.startsWith('/') ? escaped : `/${escaped}`;
}

function requestHeaders(
  given: readonly (readonly [string, string])[],
  fallback: Readonly<Record<string, string>>,
): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (const [name, value] of given) {
    const key = name.toLowerCase();
    headers[key] = [...(headers[key] ?? []), value];
  }
  for (const [name, value] of Object.entries(fallback)) headers[name] ??= [value];
  headers['user-agent'] ??= ['vmlet'];
  headers.accept ??= ['*/*'];
  return headers;
}
