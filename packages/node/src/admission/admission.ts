import type { ItemHash } from '@vmlet/messages';
import { sameAddress } from '@vmlet/messages/schema';
import { VmletError } from '../errors.ts';

/** Who may publish to a node and have programs run by it: its operator, anyone, or a list beside the operator. */
export type Allowed = 'own' | 'any' | readonly string[];

/** What an owner asks to be run. */
export interface RunRequest {
  readonly itemHash: ItemHash;
  readonly content: { readonly address: string };
}

/** Who may use this node. It knows addresses only: that one signed is for others to have checked. */
export interface Admission {
  /**
   * Passes if messages and files of this address are taken.
   * @throws VmletError `PUBLISH_FORBIDDEN`
   */
  mayPublish(address: string): void;

  /**
   * Passes if this program may run here.
   * @throws VmletError `RUN_FORBIDDEN`
   */
  mayRun(program: RunRequest): void;

  /** True for the operator and the listed addresses, never by virtue of "any": these may upload large files. */
  trusts(address: string): boolean;
}

/** Makes the rules from the operator's address and the configured list. */
export function createAdmission(options: { operatorAddress: string; allow: Allowed }): Admission {
  const { operatorAddress, allow } = options;
  const listed = typeof allow === 'string' ? [operatorAddress] : [operatorAddress, ...allow];
  const trusts = (address: string) => listed.some((one) => sameAddress(one, address));
  const allows = (address: string) => allow === 'any' || trusts(address);
  return {
    trusts,
    mayPublish(address) {
      if (!allows(address)) throw new VmletError('PUBLISH_FORBIDDEN', { operands: { address } });
    },
    mayRun({ itemHash, content: { address } }) {
      if (!allows(address)) throw new VmletError('RUN_FORBIDDEN', { operands: { itemHash, address } });
    },
  };
}
