/** Programs that look around in an official runtime and say what they find; one for each way to be served. */
import type { ProgramOptions } from './publish.ts';

/** What a program has found, and what a manifest says of the same. */
export interface Found {
  os: string;
  /** Kind of the image's filesystem, as the kernel mounted it. */
  filesystem: string;
  /** What each interpreter says of itself, by its path. */
  versions: Record<string, string>;
}

export interface OfficialProgram {
  /** For the test's name. */
  what: string;
  files: Record<string, string>;
  options: Partial<ProgramOptions>;
}

/** Nothing but a shell, so that each runtime can run it: paths of interpreters in, lines of `kind<tab>value` out. */
const LOOK = `#!/bin/sh
. /etc/os-release
printf 'os\\t%s\\n' "$PRETTY_NAME"
while read -r _ at type _; do [ "$at" = /rom ] && printf 'filesystem\\t%s\\n' "$type"; done < /proc/mounts
for path in "$@"; do printf '%s\\t%s\\n' "$path" "$("$path" --version | tr -d 'Pythonv ')"; done
`;

const FASTAPI = `
import subprocess
from fastapi import FastAPI, Request

app = FastAPI()

@app.get("/look")
def look(path: str = ""):
    return {"said": subprocess.run(["sh", "look.sh"] + path.split(), capture_output=True, text=True).stdout}

@app.get("/items/{item}")
async def item(item: int, request: Request):
    return {"item": item, "query": str(request.url.query), "asserts": __debug__}
`;

const FLASK = `
import subprocess
from flask import Flask, request

app = Flask(__name__)

@app.route("/look")
def look():
    path = request.args.get("path", "").split()
    return {"said": subprocess.run(["sh", "look.sh"] + path, capture_output=True, text=True).stdout}

@app.route("/items/<int:item>")
def item(item):
    return {"item": item, "query": request.query_string.decode(), "asserts": __debug__}
`;

const NODE_LOOK = `
const { execFileSync } = require('child_process');
exports.answer = (address) => {
  const { pathname, search, searchParams } = new URL(address, 'http://localhost');
  if (pathname !== '/look') return { item: Number(pathname.split('/').pop()), query: search.slice(1), asserts: true };
  const paths = (searchParams.get('path') || '').split(' ').filter(Boolean);
  return { said: execFileSync('sh', ['look.sh', ...paths], { encoding: 'utf8' }) };
};
`;

const NODE_HANDLER = `
const { answer } = require('./look.js');
module.exports = (request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(answer(request.url)));
};
`;

const NODE_FETCH = `
import { createRequire } from 'module';
const { answer } = createRequire(import.meta.url)('./look.js');
export default { fetch: (request) => Response.json(answer(request.url)) };
`;

const NODE_SERVER = `
const { createServer } = require('http');
const { answer } = require('./look.js');
createServer((request, response) => response.end(JSON.stringify(answer(request.url)))).listen(process.env.PORT);
`;

/** busybox serves a folder: what is found is written there before. The file of an item is what its answer is. */
const SHELL = `#!/bin/sh
mkdir -p /tmp/www/items
printf '{"said":"%s"}' "$(sh ./look.sh | sed 's/\\t/\\\\t/' | sed ':a;N;$!ba;s/\\n/\\\\n/g')" > /tmp/www/look
printf '{"item":7,"query":"a=%%C3%%A9","asserts":true}' > /tmp/www/items/7
exec httpd -f -p "127.0.0.1:$PORT" -h /tmp/www
`;

const look = { 'look.sh': LOOK };
const node = { ...look, 'look.js': NODE_LOOK };
/** The first Node.js whose Request and Response are there without a flag. */
const FETCH_SINCE = 18;

/** The programs that a runtime with these interpreters runs. */
export function officialPrograms(interpreters: Record<string, { version: string } | undefined>): OfficialProgram[] {
  const programs: OfficialProgram[] = [];
  if (interpreters.python !== undefined) {
    programs.push(
      { what: 'FastAPI', files: { ...look, 'main.py': FASTAPI }, options: { entrypoint: 'main:app' } },
      { what: 'Flask', files: { ...look, 'main.py': FLASK }, options: { entrypoint: 'main:app' } },
    );
  }
  if (interpreters.node !== undefined) {
    programs.push(
      { what: 'a handler', files: { ...node, 'index.js': NODE_HANDLER }, options: { entrypoint: 'index.js' } },
      { what: 'a server', files: { ...node, 'index.js': NODE_SERVER }, options: { entrypoint: 'index.js' } },
    );
    if (Number.parseInt(interpreters.node.version, 10) >= FETCH_SINCE)
      programs.push({ what: 'fetch', files: { ...node, 'a.mjs': NODE_FETCH }, options: { entrypoint: 'a.mjs' } });
  }
  if (programs.length === 0)
    programs.push({ what: 'a shell', files: { ...look, 'run.sh': SHELL }, options: { entrypoint: 'run.sh' } });
  return programs;
}

/** Reads what `look.sh` has said. */
export function readFound(said: string): Found {
  const lines = said.split('\n').flatMap((line) => {
    const [kind, value] = line.split('\t');
    return kind === undefined || value === undefined ? [] : [[kind, value] as const];
  });
  const { os = '', filesystem = '', ...versions } = Object.fromEntries(lines);
  return { os, filesystem, versions };
}
