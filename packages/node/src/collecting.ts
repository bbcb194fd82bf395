import type { ContentStore } from './content/index.ts';
import type { Ledger } from './ledger/index.ts';
import type { NodeOptions } from './node-options.ts';
import { Collector, type FilePins, UnheldMarks } from './pins/index.ts';
import type { createPrograms } from './programs.ts';
import type { CodeImages } from './runtimes/index.ts';
import type { openDatabase } from './store/index.ts';
import type { Logger } from './telemetry/index.ts';

interface Collecting {
  content: ContentStore;
  pins: FilePins;
  ledger: Ledger;
  database: ReturnType<typeof openDatabase>;
  codeImages: CodeImages;
  programs: Pick<ReturnType<typeof createPrograms>, 'facts'>;
  log: Logger;
}

/** What removes files that nothing needs, from now on. */
export function openCollector({ fileGraceMs: graceMs }: NodeOptions, collecting: Collecting): Collector {
  const { content, pins, ledger, database, codeImages, programs, log } = collecting;
  const collector = new Collector({
    ...{ content, pins, ledger, codeImages, graceMs, marks: new UnheldMarks(database) },
    usedFiles: () => new Set(programs.facts().flatMap(({ runtimeHash, codeHash }) => [runtimeHash, codeHash])),
    onError: (err) => log.error({ err }, 'files that nothing needs were not removed'),
  });
  collector.start();
  return collector;
}
