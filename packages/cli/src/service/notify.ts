import { run } from '@vmlet/host';
import type { Output } from '../output.ts';

/**
 * Tells the service manager what a service of `Type=notify` tells it; nothing where none asked for it. systemd's own
 * tool does it, since Node.js has no datagram sockets of Unix. A manager that is not told is no reason to end.
 */
export async function notifyManager(
  assignments: readonly string[],
  { env, output }: { env: NodeJS.ProcessEnv; output: Output },
): Promise<void> {
  if (!env.NOTIFY_SOCKET) return;
  try {
    await run('systemd-notify', assignments, { env });
  } catch (error) {
    output.warn(`systemd was not told ${assignments[0]}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
