import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';

/** A proxy in front of the upstream. */
export interface ProxyServer extends AsyncDisposable {
  url: string;
  /** Of the process that its workers are children of, or that does the work itself. */
  pid: number;
}

/** nginx with one worker and connections to the upstream kept, in a folder of its own. */
export async function startNginx(upstreamPort: number, parent: string): Promise<ProxyServer> {
  const folder = join(parent, 'nginx');
  await mkdir(folder);
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  await writeFile(config, configOf({ folder, port, upstreamPort }));
  const child = spawn('nginx', ['-e', 'stderr', '-p', folder, '-c', config], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const exit = once(child, 'exit');
  await listening(port, exit);
  return {
    url: `http://127.0.0.1:${port}/`,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exit;
    },
  };
}

function configOf({ folder, port, upstreamPort }: { folder: string; port: number; upstreamPort: number }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
worker_processes 1;
daemon off;
pid ${folder}/pid;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  upstream program { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://program; proxy_http_version 1.1; proxy_set_header connection ""; }
  }
}
`;
}

/** It says nothing when it listens, and is asked until it does. */
async function listening(port: number, exit: Promise<unknown>): Promise<void> {
  const ended = exit.then(() => {
    throw new Error('Cannot bench: nginx has ended, expected it to listen');
  });
  for (let isUp = false; !isUp; ) {
    const socket = connect(port, '127.0.0.1');
    const up = once(socket, 'connect').then(
      () => true,
      () => false,
    );
    isUp = await Promise.race([up, ended]);
    socket.destroy();
  }
  // What ends it from here on is told by its measurements.
  ended.catch(() => {});
}
