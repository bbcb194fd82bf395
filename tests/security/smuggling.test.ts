import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PROGRAM, PROGRAM_HOST, RawClient, startGateway } from '../../packages/node/src/gateway/testing.ts';
import { type RecordedRequest, Recorder } from './recorder.ts';

/** A row of smuggling/requests.json: what a client sends, and what must become of it. smuggling/README.md tells more. */
interface RequestCase {
  name: string;
  bytes: string;
  /** Refused with this status, the connection closed, and the program gets no whole request. */
  refused?: number;
  /** Answered with this status without the program, and the connection stays good. */
  answered?: number;
  location?: string;
  /** What the program gets, and nothing else. */
  guest?: Expected[];
  /** After those, this status, and the connection closed. */
  then?: number;
  /** After those, the connection is closed and nothing that came behind is read. */
  closes?: boolean;
}

interface Expected {
  line: string;
  body?: string;
  /** Whole header lines, and names of which there is one line. */
  has?: string[];
  hasNamed?: string[];
  /** Text in no header line. */
  lacks?: string[];
}

const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, 'smuggling/requests.json'), 'utf8')) as {
  cases: RequestCase[];
};
const PROBE = `GET /probe HTTP/1.1\r\nHost: ${PROGRAM_HOST}\r\nConnection: close\r\n\r\n`;

const recorder = new Recorder(({ line }) => {
  const body = line.startsWith('HEAD') ? '' : 'ok';
  return `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${body}`;
});
const it = await startGateway(() => {}, { tcp: recorder.server });
afterAll(() => it[Symbol.asyncDispose]());

const fill = (text: string) =>
  text
    .replaceAll('{host}', PROGRAM_HOST)
    .replaceAll('{HOST}', PROGRAM_HOST.toUpperCase())
    .replaceAll('{program}', PROGRAM)
    .replaceAll('{port}', String(it.port))
    .replace(/\{headers (\d+)\}/g, (_, times) => 'X: y\r\n'.repeat(Number(times)))
    .replace(/\{(\d+)\}/g, (_, times) => 'a'.repeat(Number(times)));

const statusesOf = (answer: string) =>
  [...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status)).filter((status) => status >= 200);

function expectRequest(found: RecordedRequest | undefined, wanted: Expected): void {
  expect(found).toMatchObject({ line: fill(wanted.line), body: wanted.body ?? '' });
  const headers = found?.headers ?? [];
  for (const line of wanted.has ?? []) expect(headers.map((one) => one.toLowerCase())).toContain(fill(line));
  for (const name of wanted.hasNamed ?? [])
    expect(headers.filter((one) => one.startsWith(`${name}: `))).toHaveLength(1);
  for (const text of wanted.lacks ?? []) expect(headers.join('\n').toLowerCase()).not.toContain(fill(text));
}

describe('requests', () => {
  test.each(cases.map((one) => [one.name, one] as const))('smuggling: %s', async (_name, one) => {
    recorder.clear();
    const client = new RawClient(it.port).send(fill(one.bytes) + PROBE);
    const answer = await client.closed();
    await it.idle();
    expect(recorder.faults).toEqual([]);
    const statuses = statusesOf(answer);
    if (one.refused !== undefined) {
      expect(statuses).toEqual([one.refused]);
      expect(answer).toMatch(/\r\ncontent-type: application\/problem\+json\r\n[\s\S]*"code":"[A-Z_]+"/i);
      expect(answer).toMatch(/\r\nconnection: close\r\n/i);
      expect(recorder.requests).toEqual([]);
    } else if (one.answered !== undefined) {
      expect(statuses).toEqual([one.answered, 200]);
      if (one.location !== undefined) expect(answer).toContain(`location: ${fill(one.location)}\r\n`);
      expect(recorder.requests.map(({ line }) => line)).toEqual(['GET /probe HTTP/1.1']);
    } else {
      const wanted = one.guest ?? [];
      const last = one.closes ? [] : [one.then ?? 200];
      expect(statuses).toEqual([...wanted.map(() => 200), ...last]);
      wanted.forEach((request, index) => void expectRequest(recorder.requests[index], request));
      const probes = one.then === undefined && !one.closes ? ['GET /probe HTTP/1.1'] : [];
      expect(recorder.requests.slice(wanted.length).map(({ line }) => line)).toEqual(probes);
    }
  });
});
