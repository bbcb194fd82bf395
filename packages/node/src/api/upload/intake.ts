import type { Readable } from 'node:stream';
import type { FileHash } from '@vmlet/messages';
import type { StagedContent } from '../../content/index.ts';

/** What one route takes, and how. */
export interface Intake {
  /** What the STORE that comes with it says. */
  readonly itemType: 'storage' | 'ipfs';
  /** By who sends it; 0 refuses what comes unsigned. */
  readonly maxBytes: { readonly unsigned: number; readonly signed: number; readonly trusted: number };
  /** Takes the file in; MUST read it to its end, or fail. */
  stage(bytes: Readable, options: IntakeOptions): Promise<StagedContent>;
}

/** Options of taking a file in. */
export interface IntakeOptions {
  maxBytes: number;
  expected: FileHash | undefined;
  signal: AbortSignal;
}
