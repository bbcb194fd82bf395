import type { Readable } from 'node:stream';
import type { Paths } from '@vmlet/host';
import type { Output } from './output.ts';

/** What a command works with. */
export interface Context {
  readonly output: Output;
  readonly paths: Paths;
  readonly env: NodeJS.ProcessEnv;
  /** Paths on the command line are relative to it. */
  readonly cwd: string;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  /** From --node or VMLET_NODE. */
  readonly nodeUrl: string | undefined;
  /** Aborts when the command is interrupted. */
  readonly signal: AbortSignal;
}
