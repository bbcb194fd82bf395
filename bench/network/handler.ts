import { text } from 'node:stream/consumers';
import { buildMessage } from '@vmlet/messages';
import { request } from 'undici';
import { publishFile, publishProgram, zipOf } from '../../tests/framework/publish.ts';
import { type BenchNode, startBenchNode } from '../node.ts';
import { type PartOptions, type PartResult, ratiosOf } from '../part.ts';
import { rowOf } from '../stats.ts';

/** Messages of each run. */
const MESSAGES = 10;
/** Messages before any counts: code is translated as it runs first. */
const WARM_UP = 10;
const CHANNEL = 'BENCH';

/** A visitor's answer ends when the program is told of a message. */
const PROGRAM = `
import asyncio
told = asyncio.Event()
async def app(scope, receive, send):
    if scope["type"] == "aleph.message":
        await receive()
        told.set()
        return
    if scope["type"] == "lifespan":
        raise RuntimeError("none")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b".", "more_body": True})
    await told.wait()
    told.clear()
    await send({"type": "http.response.body", "body": b"told"})
`;

/**
 * From the sending of a signed message to the handler of a program that listens to it and is running, and back to a client
 * that waits for it; beside it what of that is the message's acceptance.
 */
export async function benchHandler({ runs, tell }: PartOptions): Promise<Pick<PartResult, 'rows' | 'ratios'>> {
  tell('a message to a handler');
  await using node = await startBenchNode();
  const code = await publishFile(node, zipOf({ 'main.py': PROGRAM }));
  const program = await publishProgram(node, { runtime: node.runtime, code, onMessage: [{ channel: CHANNEL }] });
  const samples: Awaited<ReturnType<typeof sample>>[] = [];
  const url = `${node.url}/vm/${program}/`;
  for (let count = 0; count < WARM_UP; count++) await sample(node, url);
  for (let count = 0; count < runs * MESSAGES; count++) samples.push(await sample(node, url));
  const of = (name: 'handlerMs' | 'acceptedMs') => samples.map((one) => one[name]);
  const rows = [rowOf('message-to-handler', 'ms', of('handlerMs')), rowOf('message-accepted', 'ms', of('acceptedMs'))];
  return { rows, ratios: ratiosOf(rows, [['message-to-handler', 'message-accepted']]) };
}

async function sample(node: BenchNode, url: string): Promise<{ handlerMs: number; acceptedMs: number }> {
  const { signer } = node;
  const content = { type: 'bench', content: crypto.randomUUID() };
  const message = await buildMessage({ signer, type: 'POST', content, channel: CHANNEL, now: new Date() });
  // Its head is here: the program waits for the message.
  const { body } = await request(url);
  const begun = performance.now();
  const accepted = request(`${node.url}/api/v0/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sync: true, message }),
  }).then(async (answer) => {
    await answer.body.dump();
    if (answer.statusCode !== 200) throw new Error(`Cannot publish: ${answer.statusCode}, expected 200`);
    return performance.now() - begun;
  });
  const told = text(body).then(() => performance.now() - begun);
  const [acceptedMs, handlerMs] = await Promise.all([accepted, told]);
  return { handlerMs, acceptedMs };
}
