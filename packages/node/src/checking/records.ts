import { z } from 'zod';
import { VmletError } from '../errors.ts';

/** Bounds of what is taken from a survey: it runs in a machine that may be anybody's. */
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024;
const MAX_RECORDS = 40_000;
const MAX_TEXT_CHARS = 4096;

const text = z.string().max(MAX_TEXT_CHARS);
const count = z.int().nonnegative();
const file = z.enum(['setuid', 'setgid', 'capability', 'writable', 'device', 'odd-name', 'large', 'secret']);
const textFile = { path: text, error: text, text };

/** Every record of `packages/guest/survey`; its README has them in words. */
const recordSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('filesystem'), type: text, blockBytes: count, blocks: count, freeBlocks: count }),
  z.object({ kind: z.literal('osRelease'), ...textFile }),
  z.object({ kind: z.literal('nsswitch'), ...textFile }),
  z.object({ kind: z.literal('machineId'), ...textFile }),
  z.object({ kind: z.literal('libc'), name: z.enum(['glibc', 'musl', 'none']), version: text }),
  z.object({ kind: z.literal('init'), path: text, real: text, isVmlet: z.boolean() }),
  z.object({ kind: z.literal('bundle'), path: text, certificates: count }),
  z.object({ kind: z.literal('locale'), name: text, hasFiles: z.boolean() }),
  z.object({ kind: z.literal('account'), name: text, hasPassword: z.boolean() }),
  z.object({ kind: z.literal('kernel'), release: text, machine: text }),
  z.object({ kind: z.literal('kernelModule'), name: text, from: text }),
  z.object({ kind: z.literal('clock'), ms: z.int() }),
  z.object({ kind: z.literal('entropy'), error: text }),
  z.object({ kind: z.literal('writable'), path: text, error: text, mode: count }),
  z.object({
    kind: z.literal('interpreter'),
    ...{ name: text, path: text, real: text, form: z.enum(['elf', 'script', 'other']) },
    ...{ loader: text, hasLoader: z.boolean(), oldestKernel: text },
    ...{ output: text, status: z.int(), late: z.boolean(), milliseconds: count },
  }),
  z.object({ kind: z.literal('libraries'), of: text, resolved: count, missing: count }),
  z.object({ kind: z.literal('library'), of: text, name: text }),
  z.object({ kind: z.literal('module'), of: text, name: text, error: text }),
  z.object({ kind: z.literal('authorities'), of: text, value: text }),
  z.object({ kind: z.literal('encoding'), of: text, value: text }),
  z.object({
    kind: z.literal('package'),
    ...{ manager: z.enum(['dpkg', 'apk', 'rpm']), name: text, version: text, architecture: text, bytes: count },
  }),
  z.object({ kind: z.literal('packages'), count }),
  z.object({ kind: z.literal('file'), why: file, path: text, detail: text, bytes: count, mode: count, uid: count }),
  z.object({ kind: z.literal('files'), why: file, count }),
  z.object({
    kind: z.literal('tree'),
    ...{ files: count, folders: count, links: count, others: count, bytes: count, tooDeep: count, unreadable: count },
  }),
  z.object({ kind: z.literal('socket'), protocol: text, address: text, port: count }),
  z.object({ kind: z.literal('end'), records: count }),
]);

/** One line of a survey. */
export type SurveyRecord = z.infer<typeof recordSchema>;

/** A survey, by kinds of records. */
export interface Survey {
  /** Those of a kind, in the order in which they came. */
  all<K extends SurveyRecord['kind']>(kind: K): Extract<SurveyRecord, { kind: K }>[];
  one<K extends SurveyRecord['kind']>(kind: K): Extract<SurveyRecord, { kind: K }> | undefined;
}

/**
 * Reads what a survey has printed. A survey is whole or it is none: its last record says how many came before it.
 * @param machine its id, for the error
 * @throws VmletError `GUEST_MISBEHAVED`
 */
export function readSurvey(output: Buffer, { machine }: { machine: string }): Survey {
  const refuse = (found: string) => new VmletError('GUEST_MISBEHAVED', { operands: { machine, found } });
  const lines = output.toString('utf8').split('\n');
  if (lines.pop() !== '') throw refuse('a survey that ends inside a record');
  if (lines.length > MAX_RECORDS) throw refuse(`a survey of ${lines.length} records`);
  const records = lines.map((line, index) => {
    const record = recordSchema.safeParse(parseJson(line)).data;
    if (record === undefined) throw refuse(`record ${index + 1} of its survey is none that is known`);
    return record;
  });
  const last = records.pop();
  if (last?.kind !== 'end' || last.records !== records.length) throw refuse('a survey that is not whole');
  const all = <K extends SurveyRecord['kind']>(kind: K) =>
    records.filter((record): record is Extract<SurveyRecord, { kind: K }> => record.kind === kind);
  return { all, one: (kind) => all(kind)[0] };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Told as a record that is not known.
    return undefined;
  }
}

/** All of a command's output, or none of it if there is more than any survey has. @throws VmletError `GUEST_MISBEHAVED` */
export async function collectSurvey(
  output: AsyncGenerator<Buffer, unknown>,
  { machine }: { machine: string },
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of output) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_OUTPUT_BYTES) {
      throw new VmletError('GUEST_MISBEHAVED', { operands: { machine, found: 'a survey that does not end' } });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
