import type { Dispatcher } from 'undici';
import { deadline } from '../deadline.ts';
import type { Awake } from './wake.ts';

/** Answered by the launcher itself, to who has its machine's token; for all others it is a path of the program's. */
const PRIME_PATH = '/.vmlet/prime';
const TOKEN_HEADER = 'x-vmlet-prime';
/** How often it is asked: under emulation code is translated when it first runs, and some of it when it runs again. */
const ROUNDS = 5;
/** How long the whole warm-up may take, in milliseconds. */
const WARM_UP_MS = 10_000;
/** What an answer may have that is waited for; a longer one is broken off. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Kinds of programs whose requests pass through a server of the launcher. */
const LAUNCHER_SERVES = new Set(['asgi', 'wsgi', 'fetch', 'handler']);

/**
 * Exercises the way from here to a program and back, so that the first request of a visitor finds it warm: by an
 * endpoint of the launcher's, and by a path that the program itself has named for it. No other code of the program's runs.
 * @throws why there was no answer; the signal's reason
 */
export async function warmUp(awake: Awake, options: { path?: string | undefined; signal: AbortSignal }): Promise<void> {
  const { machine, pool } = awake;
  using limit = deadline(WARM_UP_MS, options.signal);
  const asking = { signal: limit.signal };
  if (LAUNCHER_SERVES.has(machine.serves ?? '')) {
    const headers = { [TOKEN_HEADER]: machine.primeToken, accept: '*/*', 'user-agent': 'vmlet' };
    for (let round = 0; round < ROUNDS; round++) await ask(pool, { ...asking, path: PRIME_PATH, headers });
  }
  if (options.path !== undefined)
    await ask(pool, { ...asking, path: options.path, headers: { 'user-agent': 'vmlet' } });
}

async function ask(pool: Dispatcher, options: { path: string; headers: Record<string, string>; signal: AbortSignal }) {
  const { body } = await pool.request({ method: 'GET', ...options });
  await body.dump({ limit: MAX_ANSWER_BYTES, signal: options.signal });
}
