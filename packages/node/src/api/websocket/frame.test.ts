import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { textFrame } from './frame.ts';

test.each([0, 1, 125, 126, 65_535, 65_536, 200_000])('textFrame: a client reads %i bytes as sent', async (length) => {
  const text = 'é'.repeat(length >> 1) + 'x'.repeat(length & 1);
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer().listen(0, '127.0.0.1');
  server.on('upgrade', (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, () => socket.write(textFrame(text))),
  );
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [bytes, isBinary] = await once(client, 'message');
  expect([String(bytes), isBinary]).toEqual([text, false]);
  client.terminate();
  server.close();
});
