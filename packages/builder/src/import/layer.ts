import { createHash } from 'node:crypto';
import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ImportError, refused } from './errors.ts';
import { IMPORT_LIMITS, type ImportLimits } from './limits.ts';
import { TarReader } from './tar/reader.ts';

/** One tar of a tree, packed or not. It can be read as often as needed. */
export interface Layer {
  /** How messages name it. */
  operand: string;
  open(): Readable;
  /** `sha256:` and the digest of the tar, unpacked, where it is known. */
  diffId?: string | undefined;
}

/** How a file is packed, by its first bytes; undefined for one that is not. */
export type Packing = 'gzip' | 'zstd' | 'xz' | 'bzip2';

const MAGICS: readonly (readonly [Packing, string])[] = [
  ['gzip', '1f8b'],
  ['zstd', '28b52ffd'],
  // A frame that only holds a reader's table, as some writers of zstd put first.
  ['zstd', '502a4d18'],
  ['xz', 'fd377a585a00'],
  ['bzip2', '425a68'],
];
const MAGIC_SIZE = 6;

/** How a file that begins so is packed. */
export function packingOf(head: Buffer): Packing | undefined {
  const hex = head.toString('hex', 0, MAGIC_SIZE);
  return MAGICS.find(([, magic]) => hex.startsWith(magic))?.[0];
}

/** A layer that is being read. */
export interface OpenLayer extends AsyncDisposable {
  reader: TarReader;
  /** Reads what is left and checks the digest. @returns the digest. @throws ImportError */
  finish(): Promise<string>;
}

/** Opens a layer, unpacking it on the way. @throws ImportError for a packing that is not known here */
export async function openLayer(layer: Layer, limits: ImportLimits = IMPORT_LIMITS): Promise<OpenLayer> {
  const unpacked = await unpack(layer.open(), layer.operand);
  const hash = createHash('sha256');
  const { operand } = layer;
  async function* measured(): AsyncGenerator<Buffer> {
    let left = limits.layerBytes;
    for await (const chunk of unpacked) {
      left -= chunk.length;
      if (left < 0) throw refused(operand, `more than ${limits.layerBytes} bytes when unpacked`, 'less');
      hash.update(chunk);
      yield chunk;
    }
  }
  const reader = new TarReader(measured(), { operand, limits });
  return {
    reader,
    async finish() {
      await reader.drain();
      const found = `sha256:${hash.digest('hex')}`;
      if (layer.diffId !== undefined && layer.diffId !== found)
        throw refused(operand, `the digest of its content is ${found}`, layer.diffId);
      return found;
    },
    async [Symbol.asyncDispose]() {
      unpacked.destroy();
      await reader.close();
    },
  };
}

async function unpack(stream: Readable, operand: string): Promise<Readable> {
  const head = await readHead(stream);
  const packing = packingOf(head);
  if (packing === undefined) return stream;
  if (packing === 'xz' || packing === 'bzip2') {
    stream.destroy();
    throw refused(operand, `it is packed by ${packing}`, 'gzip, zstd, or none');
  }
  return through(stream, packing === 'gzip' ? createGunzip() : createZstdDecompress(), operand);
}

/** The first bytes of a stream, which stay in it. */
async function readHead(stream: Readable): Promise<Buffer> {
  const iterator = stream.iterator({ destroyOnReturn: false });
  let head = Buffer.alloc(0);
  for (;;) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
    if (head.length >= MAGIC_SIZE) break;
  }
  await iterator.return?.();
  if (head.length > 0) stream.unshift(head);
  return head;
}

function through(stream: Readable, transform: Transform, operand: string): Readable {
  async function* unpacked(): AsyncGenerator<Buffer> {
    // What goes wrong on the way destroys the transform with it, which the loop then throws.
    pipeline(stream, transform, () => undefined);
    try {
      yield* transform;
    } catch (cause) {
      if (cause instanceof ImportError || !(cause instanceof Error)) throw cause;
      const code = (cause as NodeJS.ErrnoException).code ?? '';
      if (!/^(Z_|ZSTD_|ERR_ZLIB)/.test(code)) throw cause;
      throw new ImportError(`Cannot import ${operand}: ${cause.message}, expected data that unpacks`, { cause });
    } finally {
      stream.destroy();
    }
  }
  return Readable.from(unpacked());
}
