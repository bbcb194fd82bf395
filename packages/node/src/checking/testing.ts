import { Duplex } from 'node:stream';
import { factsOfSurvey } from './facts.ts';
import type { Evidence } from './judge/finding.ts';
import { readSurvey } from './records.ts';

/** A whole survey of these records, as a guest prints it. */
export function printed(records: readonly object[]): Buffer {
  const lines = [...records, { kind: 'end', records: records.length }].map((record) => `${JSON.stringify(record)}\n`);
  return Buffer.from(lines.join(''));
}

/** What is known of an image whose survey has these records, and else finds nothing. */
export function evidenceOf(records: readonly object[], more: Partial<Evidence> = {}): Evidence {
  const survey = readSurvey(printed(records), { machine: 'test' });
  return {
    sizeBytes: 1,
    manifest: undefined,
    facts: factsOfSurvey(survey),
    survey,
    times: { booted: 1, ready: 2 },
    clock: { fromMs: 0, toMs: 0 },
    trials: [],
    ...more,
  };
}

/** A record of an interpreter that runs. */
export function interpreterRecord(more: object = {}): object {
  return {
    ...{ kind: 'interpreter', name: 'python', path: '/usr/bin/python3', real: '/usr/bin/python3.11', form: 'elf' },
    ...{ loader: '/lib64/ld.so', hasLoader: true, oldestKernel: '3.2.0', output: 'Python 3.11.2\n', status: 0 },
    ...{ late: false, milliseconds: 100, ...more },
  };
}

/** A machine whose command says these bytes, whatever it was asked. */
export function machineThatSays(chunks: readonly Buffer[], end: 'ends' | 'breaks' | 'hangs' = 'ends') {
  const openSession = async () =>
    new Duplex({
      read() {
        for (const chunk of chunks) this.push(chunk);
        if (end === 'ends') this.push(null);
        if (end === 'breaks') this.destroy(new Error('cut'));
      },
      write: (_chunk, _encoding, done) => done(),
    });
  return { id: 'm', openSession };
}
