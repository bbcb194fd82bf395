import { CliError } from './errors.ts';

/** How large a file may be, by who brings it; `ipfs` and `car` by how it is named. */
const UPLOADS = ['unsigned', 'signed', 'trusted', 'ipfs', 'car'] as const;
const SIZE = /^(\d{1,9})(KiB|MiB|GiB)$|^0$/;
const UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const MAX_UPLOAD_BYTES = 1024 ** 4;

/** Limits of uploads in bytes; what is not there has the node's own. */
export type UploadLimits = Partial<Record<(typeof UPLOADS)[number], number>>;

/** Collects `KIND=SIZE`, several with commas between them, given any number of times; the last of a kind counts. */
export function uploadLimits(text: string, before: UploadLimits = {}): UploadLimits {
  const read = text.split(',').map((one) => {
    const [name, size = ''] = one.trim().split('=', 2);
    const kind = UPLOADS.find((known) => known === name);
    const [match, amount, unit] = SIZE.exec(size) ?? [];
    const bytes = match === '0' ? 0 : Number(amount) * (UNITS[unit ?? ''] ?? Number.NaN);
    if (kind !== undefined && bytes <= MAX_UPLOAD_BYTES) return [kind, bytes] as const;
    const expected = `${UPLOADS.join(', ')} with "=" and a size such as 25MiB or 4GiB, at most 1024GiB`;
    const operands = { option: '--upload-limit', found: one, expected, help: 'vmlet --help' };
    throw new CliError('OPTION_MALFORMED', { operands });
  });
  return { ...before, ...Object.fromEntries(read) };
}
