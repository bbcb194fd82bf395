import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

const FASTAPI = `
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
events = []

app = FastAPI()

@app.on_event("startup")
async def startup():
    events.append("startup")

@app.on_event("shutdown")
async def shutdown():
    print("shut down in order", flush=True)

@app.get("/items/{item_id}")
async def item(item_id: int, request: Request, q: str = ""):
    return {"item": item_id, "q": q, "url": str(request.url.path), "events": events}

@app.get("/stream")
async def stream():
    async def parts():
        for index in range(3):
            yield f"part {index}\\n"
    return StreamingResponse(parts(), media_type="text/plain")
`;

const FLASK = `
import threading
from flask import Flask, Response, request
app = Flask(__name__)
second = threading.Event()

@app.route("/")
def index():
    return {"path": request.path, "query": request.query_string.decode()}

@app.route("/upload", methods=["POST"])
def upload():
    return str(len(request.get_data()))

@app.route("/stream")
def stream():
    def parts():
        yield "first"
        second.wait()
        yield "second"
    return Response(parts(), mimetype="text/plain")

@app.route("/release")
def release():
    second.set()
    return "ok"
`;

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode({ idleMs: 2000 });
});
afterAll(async () => node[Symbol.asyncDispose]());

test('frameworks: FastAPI runs, its startup once before the first request and its shutdown at the end', async () => {
  const program = await node.deploy({ 'main.py': FASTAPI });
  const first = await node.ask(program, '/items/7?q=%C3%A9');
  expect(await first.json()).toEqual({ item: 7, q: 'é', url: '/items/7', events: ['startup'] });
  const again = await node.ask(program, '/items/8');
  expect(await again.json()).toMatchObject({ item: 8, events: ['startup'] });
  expect(await (await node.ask(program, '/stream')).text()).toBe('part 0\npart 1\npart 2\n');
  const invalid = await node.ask(program, '/items/seven');
  expect(invalid.status).toBe(422);
  await node.logSays(program, 'shut down in order');
});

test('frameworks: a WebSocket is joined with its program, and counts as a request until it closes', async () => {
  const program = await node.deploy({ 'main.py': WEBSOCKET });
  const url = node.url.replace('http:', 'ws:');
  const socket = new WebSocket(`${url}/vm/${program}/chat`);
  const messages: string[] = [];
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
  socket.addEventListener('message', ({ data }) => {
    messages.push(data);
    socket.send(data === 'welcome to /chat' ? 'one' : 'bye');
  });
  expect(await closed).toMatchObject({ code: 1000 });
  expect(messages).toEqual(['welcome to /chat', 'you said one']);
});

const WEBSOCKET = `
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "welcome to " + scope["path"]})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect" or event["text"] == "bye":
            break
        await send({"type": "websocket.send", "text": "you said " + event["text"]})
    await send({"type": "websocket.close", "code": 1000})
`;

test('frameworks: Flask runs, streams, takes uploads, and answers others while one request waits', async () => {
  const program = await node.deploy({ 'main.py': FLASK });
  expect(await (await node.ask(program, '/?a=1')).json()).toEqual({ path: '/', query: 'a=1' });
  const upload = await node.ask(program, '/upload', { method: 'POST', body: new Uint8Array(2_000_000) });
  expect(await upload.text()).toBe('2000000');
  const stream = (await node.ask(program, '/stream')).body?.getReader();
  expect(new TextDecoder().decode((await stream?.read())?.value)).toBe('first');
  expect(await (await node.ask(program, '/release')).text()).toBe('ok');
  expect(new TextDecoder().decode((await stream?.read())?.value)).toBe('second');
});
