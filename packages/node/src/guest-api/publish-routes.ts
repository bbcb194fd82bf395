import type { ServerResponse } from 'node:http';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import { COSTS } from './allowance.ts';
import type { Caller } from './caller.ts';
import { send } from './server.ts';
import { signMessage } from './sign.ts';

/** The network API by function call: one request, its whole answer. */
export type AskApi = (request: {
  method: 'POST';
  url: string;
  headers: Record<string, string>;
  payload: string;
}) => Promise<{ statusCode: number; headers: Record<string, unknown>; body: string }>;

const publicationSchema = z.object({
  sync: z.boolean().nullish(),
  message: z.record(z.string(), z.unknown()),
});

const pubsubSchema = z.object({
  topic: z.string().max(256),
  // The reference system's own client sends an object where its server wants a text.
  data: z.union([z.string(), z.record(z.string(), z.unknown())]),
});

interface Publication {
  body: unknown;
  caller: Caller;
  askApi: AskApi;
  response: ServerResponse;
}

/**
 * POST `/api/v0/messages`: one that has a signature goes on as it is; one without gets that of the program.
 * @throws VmletError `API_BODY_UNREADABLE`, `SIGN_REFUSED`, `MESSAGE_MALFORMED`
 */
export async function publishMessage({ body, caller, askApi, response }: Publication): Promise<void> {
  const parsed = publicationSchema.safeParse(body);
  if (!parsed.success) throw unreadable('not an object with the member "message"');
  const { sync, message } = parsed.data;
  const payload = JSON.stringify({ sync: sync ?? false, message: await signed(message, caller) });
  await relay({ url: '/api/v0/messages', payload, askApi, response });
}

/**
 * POST of a message to the network's topic, as older clients do; it is signed and published as by the route above.
 * @throws VmletError `API_BODY_UNREADABLE`, `SIGN_REFUSED`, `MESSAGE_MALFORMED`
 */
export async function publishToTopic(path: string, { body, caller, askApi, response }: Publication): Promise<void> {
  const parsed = pubsubSchema.safeParse(body);
  if (!parsed.success) throw unreadable('not an object with the members "topic" and "data"');
  const { topic, data } = parsed.data;
  const message = await signed(typeof data === 'string' ? readJson(data) : data, caller);
  await relay({ url: path, payload: JSON.stringify({ topic, data: JSON.stringify(message) }), askApi, response });
}

/** @throws VmletError `API_BODY_UNREADABLE` */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new VmletError('API_BODY_UNREADABLE', { operands: { cause: 'not JSON' }, cause });
  }
}

async function signed(message: unknown, { key, allowance }: Caller): Promise<unknown> {
  const hasSignature = typeof message === 'object' && message !== null && 'signature' in message && message.signature;
  if (hasSignature) return message;
  allowance.spend(COSTS.sign);
  return await signMessage(message, key);
}

async function relay({
  url,
  payload,
  askApi,
  response,
}: Omit<Publication, 'body' | 'caller'> & { url: string; payload: string }) {
  const headers = { 'content-type': 'application/json' };
  const answer = await askApi({ method: 'POST', url, headers, payload });
  const { 'content-type': type, 'retry-after': retryAfter } = answer.headers;
  const whole = { status: answer.statusCode, type: String(type ?? 'application/json'), body: answer.body };
  send(response, whole, typeof retryAfter === 'string' ? { 'retry-after': retryAfter } : {});
}

function unreadable(cause: string): VmletError {
  return new VmletError('API_BODY_UNREADABLE', { operands: { cause } });
}
