import type { ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { type Allowed, createAdmission } from './admission.ts';

const OPERATOR = '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef';
const FRIEND = '0xa1B3bb7d2332383D96b7796B908fB7f7F3c2Be10';
const STRANGER = '0x238224C744F4b90b4494516e074D2676ECfC6803';
const SOL = '5SwCeHbZ9oY3556YFBEhPTHyy9t4yse26v7MUyGm2bHS';

const itemHash = 'a'.repeat(64) as ItemHash;

describe('createAdmission', () => {
  const cases: [Allowed, { allowed: string[]; refused: string[]; trusted: string[] }][] = [
    ['own', { allowed: [OPERATOR, OPERATOR.toLowerCase()], refused: [FRIEND, STRANGER, ''], trusted: [OPERATOR] }],
    ['any', { allowed: [OPERATOR, FRIEND, STRANGER], refused: [], trusted: [OPERATOR] }],
    [
      [FRIEND.toLowerCase(), SOL],
      { allowed: [OPERATOR, FRIEND, SOL], refused: [STRANGER, SOL.toLowerCase()], trusted: [OPERATOR, FRIEND, SOL] },
    ],
  ];

  test.each(cases)(
    'createAdmission: tells the allowed from the others, for %j',
    (allow, { allowed, refused, trusted }) => {
      const admission = createAdmission({ operatorAddress: OPERATOR, allow });
      for (const address of allowed) {
        admission.mayPublish(address);
        admission.mayRun({ itemHash, content: { address } });
      }
      for (const address of refused) {
        expect(() => admission.mayPublish(address)).toThrow(expect.objectContaining({ code: 'PUBLISH_FORBIDDEN' }));
        expect(() => admission.mayRun({ itemHash, content: { address } })).toThrow(
          expect.objectContaining({ code: 'RUN_FORBIDDEN' }),
        );
      }
      expect([OPERATOR, FRIEND, STRANGER, SOL].filter(admission.trusts)).toEqual(trusted);
    },
  );
});
