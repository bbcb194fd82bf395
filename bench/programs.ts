import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { compile } from './native.ts';

/** ASGI by hand, in `main.py`. */
export const PYTHON_HELLO = `
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})
`;
/** The same with FastAPI. */
export const FASTAPI_HELLO = `
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
async def index():
    return {"hello": "world"}
`;
/** A request handler for Node.js, in `server.js`. */
export const NODE_HELLO = "module.exports = (request, response) => response.end('hello');";

/** A zip of a static executable `hello`, compiled here. */
export async function executableHello(): Promise<Blob> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-'));
  const program = await compile('hello.c', folder.path, ['-static', '-s']);
  return new Blob([zipSync({ hello: await readFile(program) })]);
}
