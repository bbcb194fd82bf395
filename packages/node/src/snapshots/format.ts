import { createHash } from 'node:crypto';
import * as z from 'zod';

/** The newest form of a snapshot that this vmlet writes and reads. */
export const SNAPSHOT_FORMAT = 1;

/** The guest's memory, sparse: as long as the machine's RAM. */
export const MEMORY_FILE = 'memory';
/** QEMU's device state, a migration stream without the memory. */
export const STATE_FILE = 'state';
/** Written last: a folder without it is no snapshot. */
export const RECORD_FILE = 'snapshot.json';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * All that a snapshot depends on. Two machines with equal inputs could be swapped for each other by nobody noticing;
 * whatever makes a difference has to be here.
 */
export const snapshotInputsSchema = z.strictObject({
  /** Of init0, launchers, kernel and modules. */
  kit: z.string(),
  /** QEMU's program, as the hash of its bytes. */
  qemu: sha256,
  accelerator: z.enum(['kvm', 'tcg']),
  /** Model and flags of the host's processor and the release of its kernel, as a hash: what a guest sees depends on them. */
  host: sha256,
  tscKhz: z.int().positive(),
  /** All that QEMU is told: devices in their order, processor, kernel command line, as a hash. */
  shape: sha256,
  vcpus: z.int().positive(),
  memoryMiB: z.int().positive(),
  /** file_hash of the root filesystem. */
  runtime: z.string(),
  /** `kit` or `image`: where init0 and launchers come from. */
  init: z.string(),
  /** Arguments and environment of the launcher, as a hash. */
  launcher: sha256,
  /** Null at the level of a runtime: no program is in that memory. */
  program: z
    .strictObject({
      /**
       * Of its message, even though two programs of one code load the same: what either draws as it is loaded, such as
       * a key to sign sessions with, is not the other's.
       */
      itemHash: z.string(),
      /** file_hash of the code, and how it is made a drive of. */
      code: z.string(),
      form: z.string(),
      /** What the launcher is told to load, variables included, as a hash: their values are nobody's business here. */
      load: sha256,
    })
    .nullable(),
  /** What is mounted beside code and runtime, in order. Nothing is, yet. */
  volumes: z.tuple([]),
});

/** @see snapshotInputsSchema */
export type SnapshotInputs = z.output<typeof snapshotInputsSchema>;

const fileSchema = z.strictObject({ sizeBytes: z.int().nonnegative(), sha256 });

/** What `snapshot.json` says. */
export const snapshotRecordSchema = z.strictObject({
  format: z.literal(SNAPSHOT_FORMAT),
  key: sha256,
  inputs: snapshotInputsSchema,
  memory: fileSchema,
  state: fileSchema,
  /** What the launcher found the program to be; null at the level of a runtime. */
  serves: z.string().nullable(),
  createdMs: z.int().positive(),
});

/** @see snapshotRecordSchema */
export type SnapshotRecord = z.output<typeof snapshotRecordSchema>;

/** The name of the snapshot with these inputs: 64 hex digits, the SHA-256 of their one JSON form. */
export function snapshotKey(inputs: SnapshotInputs): string {
  // The schema gives the members in its own order, so equal inputs have one text.
  return createHash('sha256')
    .update(JSON.stringify({ format: SNAPSHOT_FORMAT, ...snapshotInputsSchema.parse(inputs) }))
    .digest('hex');
}
