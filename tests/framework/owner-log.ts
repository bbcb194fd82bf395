import { connect } from 'node:net';
import type { ItemHash } from '@vmlet/messages';

/** Follows a program's log by its owner's socket until a line holds the words; at once if one does already. */
export async function logSays(
  ownerSocket: string,
  { program, words }: { program: ItemHash; words: string },
): Promise<void> {
  const socket = connect(ownerSocket);
  socket.write(`GET /programs/${program}/logs?lines=1000&follow=1 HTTP/1.1\r\nhost: owner\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) {
    text += chunk;
    if (text.includes(words)) break;
  }
  socket.destroy();
}
