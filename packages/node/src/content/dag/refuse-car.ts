import { VmletError } from '../../errors.ts';

/**
 * Refuses a CAR; `found` and `expected` go into the error's words.
 * @throws VmletError `CAR_REFUSED`
 */
export function refuseCar(found: string, expected: string, cause?: unknown): never {
  throw new VmletError('CAR_REFUSED', { operands: { found, expected }, ...(cause === undefined ? {} : { cause }) });
}
