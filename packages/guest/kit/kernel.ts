import { createWriteStream } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { run } from '@vmlet/host';

/** Linux boot protocol: offsets into a bzImage's setup header (Documentation/arch/x86/boot.rst). */
const SETUP_SECTORS = 0x1f1;
const HEADER_MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
/** The payload ends with its uncompressed size, which lz4 and zstd do not expect; gzip's own trailer is that already. */
const SIZE_TRAILER_BYTES = 4;

const LZ4_LEGACY_MAGIC = 0x184c2102;
const ZSTD_MAGIC = 0xfd2fb528;
const GZIP_MAGIC = 0x8b1f;

/**
 * Unpacks the ELF kernel inside a bzImage. QEMU enters it directly through its PVH note, and the guest is spared
 * decompressing itself, which costs 0.2 s under emulation (measured: 1.24 s against 1.40 s to init).
 * @throws when the image or its compression is not known
 */
export async function unpackKernel(bzImage: string, vmlinux: string, signal?: AbortSignal): Promise<void> {
  const image = await readFile(bzImage);
  if (image.toString('latin1', HEADER_MAGIC, HEADER_MAGIC + 4) !== 'HdrS') {
    throw new Error(`Cannot unpack "${bzImage}": no boot header found, expected a bzImage`);
  }
  const protectedMode = ((image[SETUP_SECTORS] || 4) + 1) * 512;
  const start = protectedMode + image.readUInt32LE(PAYLOAD_OFFSET);
  const whole = image.subarray(start, start + image.readUInt32LE(PAYLOAD_LENGTH));
  const payload = whole.subarray(0, -SIZE_TRAILER_BYTES);
  if (payload.length < SIZE_TRAILER_BYTES) {
    throw new Error(`Cannot unpack "${bzImage}": it ends before its payload, expected a whole bzImage`);
  }
  const magic = payload.readUInt32LE(0);
  if (magic === LZ4_LEGACY_MAGIC) {
    await unpackLz4(payload, vmlinux, signal);
  } else if (magic === ZSTD_MAGIC) {
    await pipeline(Readable.from([payload]), createZstdDecompress(), createWriteStream(vmlinux), { signal });
  } else if ((magic & 0xffff) === GZIP_MAGIC) {
    await pipeline(Readable.from([whole]), createGunzip(), createWriteStream(vmlinux), { signal });
  } else {
    throw new Error(
      `Cannot unpack "${bzImage}": its payload begins with 0x${magic.toString(16)}, expected lz4, zstd or gzip`,
    );
  }
}

async function unpackLz4(payload: Buffer, vmlinux: string, signal: AbortSignal | undefined): Promise<void> {
  const packed = `${vmlinux}.lz4`;
  try {
    await writeFile(packed, payload);
    await run('lz4', ['-q', '-d', '-f', packed, vmlinux], { signal });
  } finally {
    await rm(packed, { force: true });
  }
}
