import { expectStatus, send } from '../client/http.ts';
import type { NodeAddress } from '../client/locate.ts';

/**
 * Passes if a node answers, before anything costly is begun.
 * @throws CliError `NODE_UNREACHABLE`, `ANSWER_UNEXPECTED`
 */
export async function checkReachable({ url }: NodeAddress, signal: AbortSignal): Promise<void> {
  const origin = { url };
  const path = '/api/v0/version';
  const answer = await send(origin, { path, signal });
  await expectStatus(answer, { wanted: [200], request: `GET ${path}`, origin, signal });
  answer.resume();
}
