import { expect, test } from 'vitest';
import { capsFor } from './caps.ts';
import { MessageMeter } from './message-meter.ts';

const MIB = 1024 * 1024;
const OPERATOR = `0x${'aB'.repeat(20)}`;
const STRANGER = `0x${'cD'.repeat(20)}`;

test('message meter: counts each owner’s text, in any letter case, until the hour is over', () => {
  let nowMs = 1_800_000_000_000;
  const meter = new MessageMeter({ capsOf: capsFor(OPERATOR, { messagesMiB: 2 }), now: () => nowMs });
  meter.take(STRANGER, MIB);
  meter.take(STRANGER.toLowerCase(), MIB);
  const refusal = expect.objectContaining({ code: 'OWNER_MESSAGES_EXCEEDED', retryAfterSeconds: 3600 });
  expect(() => meter.take(STRANGER, 1)).toThrow(refusal);
  meter.take('another', MIB);
  for (let times = 0; times < 10; times++) meter.take(OPERATOR, MIB);
  nowMs += 3_599_999;
  expect(() => meter.take(STRANGER, 1)).toThrow(expect.objectContaining({ retryAfterSeconds: 1 }));
  nowMs += 1;
  meter.take(STRANGER, 2 * MIB);
  expect(() => meter.take(STRANGER, 1)).toThrow();
});

test('message meter: counts nothing that it refuses, so that a smaller one still fits', () => {
  const meter = new MessageMeter({ capsOf: capsFor(OPERATOR, { messagesMiB: 1 }) });
  expect(() => meter.take(STRANGER, MIB + 1)).toThrow();
  meter.take(STRANGER, MIB);
});
