import type { ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { createAdmission } from './admission/index.ts';
import type { ProgramRecord } from './ledger/index.ts';
import { admitPrograms } from './program-delegates.ts';

const OPERATOR = '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef';
const STRANGER = '0x238224C744F4b90b4494516e074D2676ECfC6803';
const OWN = 'its own';
const FOREIGN = 'a foreign one';
const NOBODY = 'nobody';
const ITS_OWN = 'a'.repeat(64) as ItemHash;
const ITS_FOREIGN = 'b'.repeat(64) as ItemHash;

test('admission: a program publishes under its own address where its owner may, while it is in force', () => {
  const programs = new Map([
    [OWN, { itemHash: ITS_OWN, owner: OPERATOR }],
    [FOREIGN, { itemHash: ITS_FOREIGN, owner: STRANGER }],
  ]);
  const inForce = new Set<string>([ITS_OWN, ITS_FOREIGN]);
  const admission = admitPrograms(createAdmission({ operatorAddress: OPERATOR, allow: 'own' }), {
    identities: { programOf: (address) => programs.get(address), addressesOf: () => [] },
    ledger: { program: (itemHash) => (inForce.has(itemHash) ? ({} as ProgramRecord) : undefined) },
  });
  admission.mayPublish(OPERATOR);
  admission.mayPublish(OWN);
  const refused = (address: string) =>
    expect(() => admission.mayPublish(address)).toThrow(expect.objectContaining({ code: 'PUBLISH_FORBIDDEN' }));
  for (const address of [FOREIGN, STRANGER, NOBODY]) refused(address);
  // What a program signs makes it no owner of programs, and no uploader of large files.
  expect(admission.trusts(OWN)).toBe(false);
  expect(() => admission.mayRun({ itemHash: ITS_OWN, content: { address: OWN } })).toThrow(
    expect.objectContaining({ code: 'RUN_FORBIDDEN' }),
  );
  inForce.delete(ITS_OWN);
  refused(OWN);
});
