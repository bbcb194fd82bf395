/** Checks who signed a message. */
import { type MessageErrorCode, messageErrorText } from './errors.ts';
import { ED25519_CHAINS, EVM_CHAINS } from './schema/chains.ts';
import { isEvmAddress, sameAddress } from './schema/hashes.ts';
import type { Engines } from './sign/engine.ts';
import { hostEngines } from './sign/engines.ts';
import { checksumAddress, recoverAddress } from './sign/evm.ts';
import { type Signable, signedBytes } from './sign/signed-bytes.ts';
import { readSolSignature, type SolSignature, verifyText } from './sign/sol.ts';

/** The outcome of a check. `code` is in the error catalogue, `reason` its text with operands filled in. */
export type Verification = { ok: true } | { ok: false; code: MessageErrorCode; reason: string };

/** What a check needs of a message; a Solana signature may be the JSON text or the object. */
export type Signed = Signable & { readonly signature: string | SolSignature };

const EVM: ReadonlySet<string> = new Set(EVM_CHAINS);
const ED25519: ReadonlySet<string> = new Set(ED25519_CHAINS);
const SUPPORTED = [...EVM_CHAINS, ...ED25519_CHAINS].join(' ');

/**
 * Checks that the sender signed chain, sender, type and item_hash. Says nothing about `time`, `channel` and the content
 * behind the hash. Never throws; a chain that nothing here can verify is an outcome, not a pass.
 *
 * @param engines what does the mathematics: the quickest that this host has, unless given
 */
export function verifySignature(message: Signed, engines: Engines = hostEngines()): Verification {
  if (EVM.has(message.chain)) return verifyEvm(message, engines);
  if (ED25519.has(message.chain)) return verifyEd25519(message, engines);
  return refuse('CHAIN_UNSUPPORTED', message, { found: message.chain, expected: SUPPORTED });
}

function refuse(
  code: MessageErrorCode,
  { item_hash: operand }: Signed,
  operands: { found?: string; expected?: string },
) {
  return { ok: false as const, code, reason: messageErrorText(code, { operand, ...operands }) };
}

function verifyEvm(message: Signed, engines: Engines): Verification {
  if (!isEvmAddress(message.sender)) {
    const found = `sender "${message.sender}"`;
    return refuse('SIGNATURE_MALFORMED', message, { found, expected: 'a sender of "0x" and 40 hex digits' });
  }
  const text = typeof message.signature === 'string' ? message.signature : '';
  const recovered = recoverAddress(signedBytes(message), text, engines);
  if ('address' in recovered) {
    if (sameAddress(recovered.address, message.sender)) return { ok: true };
    return refuse('SIGNATURE_WRONG', message, {
      found: `by "${checksumAddress(recovered.address)}"`,
      expected: message.sender,
    });
  }
  if (recovered.fault === 'malleable') return refuse('SIGNATURE_MALLEABLE', message, {});
  if (recovered.fault === 'unrecoverable') {
    return refuse('SIGNATURE_WRONG', message, { found: 'that no key makes', expected: message.sender });
  }
  const expected = '"0x" and 130 hex digits that end in v = 27, 28, 0 or 1';
  return refuse('SIGNATURE_MALFORMED', message, { found: `${text.length} characters of another form`, expected });
}

function verifyEd25519(message: Signed, engines: Engines): Verification {
  const expected = 'the JSON object {signature, publicKey} with 64 and 32 bytes in base58';
  const parsed = readSolSignature(message.signature);
  if (parsed === undefined) return refuse('SIGNATURE_MALFORMED', message, { found: 'another form', expected });
  if (parsed.publicKey !== message.sender) {
    return refuse('SIGNATURE_WRONG', message, {
      found: `by ${JSON.stringify(parsed.publicKey)}`,
      expected: message.sender,
    });
  }
  const verified = verifyText(signedBytes(message), parsed, engines);
  if (verified === true) return { ok: true };
  if (verified === undefined) return refuse('SIGNATURE_MALFORMED', message, { found: 'other base58', expected });
  return refuse('SIGNATURE_WRONG', message, { found: 'over other bytes', expected: message.sender });
}
