import { createEvmSigner, generateKey } from '@vmlet/messages/sign';
import { expect, test } from 'vitest';
import { isOperatorToken, tokenPart } from './operator-token.ts';

test('operator token: is good for some minutes, and from the operator alone', async () => {
  const signer = createEvmSigner(generateKey());
  const other = createEvmSigner(generateKey());
  const operator = signer.address;
  const seconds = 1_800_000_000;
  const token = `${seconds}:${await signer.sign(tokenPart(operator, { seconds }))}`;
  const at = (offset: number) => isOperatorToken(token, { operator, now: () => (seconds + offset) * 1000 });
  expect([-301, -300, 0, 300, 301].map(at)).toEqual([false, true, true, true, false]);
  const now = () => seconds * 1000;
  const foreign = `${seconds}:${await other.sign(tokenPart(other.address, { seconds }))}`;
  expect(isOperatorToken(foreign, { operator, now })).toBe(false);
  expect(isOperatorToken(token.replace(`${seconds}`, `${seconds + 1}`), { operator, now })).toBe(false);
  for (const text of ['', 'x', `${seconds}`, `${seconds}:`, `${token} `, ` ${token}`]) {
    expect(isOperatorToken(text, { operator, now })).toBe(false);
  }
});
