import type { ItemHash } from '@vmlet/messages';
import type { ProgramKey } from '../keys/index.ts';
import type { Allowance } from './allowance.ts';

/** The program that calls: known by the machine that the call came from, and by nothing that it says. */
export interface Caller {
  readonly itemHash: ItemHash;
  readonly key: ProgramKey;
  readonly allowance: Allowance;
}
