import type { Admission } from './admission/index.ts';
import type { Identities, OwnedProgram } from './guest-api/index.ts';
import type { Ledger } from './ledger/index.ts';

export interface Delegates {
  identities: Pick<Identities, 'programOf' | 'addressesOf'>;
  ledger: Pick<Ledger, 'program'>;
}

/** The program in force whose own address this is. */
export function runningAs(address: string, { identities, ledger }: Delegates): OwnedProgram | undefined {
  const program = identities.programOf(address);
  return program && ledger.program(program.itemHash) ? program : undefined;
}

/** Lets programs in force publish under their own addresses where their owners may; all else stays as it is. */
export function admitPrograms(admission: Admission, delegates: Delegates): Admission {
  return {
    ...admission,
    mayPublish: (address) => admission.mayPublish(runningAs(address, delegates)?.owner ?? address),
  };
}
