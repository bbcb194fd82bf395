/** The connections of a server, so that it can end without cutting off a request that runs. */
import type { ServerResponse } from 'http';
import type { Server, Socket } from 'net';

/** Node keeps the response that a connection is busy with here; null between requests, and once it was upgraded. */
interface HttpSocket extends Socket {
  _httpMessage?: ServerResponse | null;
}

export class Connections {
  readonly server: Server;
  private readonly sockets = new Set<HttpSocket>();

  constructor(server: Server) {
    this.server = server;
    server.on('connection', (socket: HttpSocket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** Closes idle and upgraded connections at once, and each of the others when its response is sent. */
  drain(): void {
    for (const socket of this.sockets) {
      const response = socket._httpMessage;
      if (!response) {
        socket.destroy();
        continue;
      }
      response.shouldKeepAlive = false;
      response.once('close', () => socket.end(() => socket.destroy()));
    }
  }

  /** Resolves when none of the connections is open that came from these ports. */
  async closed(ports: ReadonlySet<number>): Promise<void> {
    const theirs = [...this.sockets].filter(({ remotePort }) => remotePort !== undefined && ports.has(remotePort));
    await Promise.all(theirs.map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))));
  }

  /** Stops listening, drains, and calls `done` when no connection is left. */
  close(done: () => void): void {
    if (this.server.listening) this.server.close(done);
    else done();
    this.drain();
  }
}
