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
  qemu: z.string(),
  accelerator: z.enum(['kvm', 'tcg']),
  /** Model and flags of the host's processor, as a hash: what `-cpu max` or `host` gives depends on them. */
  cpu: z.string(),
  tscKhz: z.int().positive(),
  runtime: sha256,
  vcpus: z.int().positive(),
  memoryMiB: z.int().positive(),
  /** The machine's devices in their order, as its command line names them without paths. */
  devices: z.string(),
  launcher: z.string(),
  /** Null at the level of a runtime: no program is in that memory. */
  program: z
    .strictObject({
      code: sha256,
      entrypoint: z.string(),
      interface: z.string().nullable(),
      args: z.array(z.string()),
      /** Hash of the variables: their values may be long, and are nobody's business here. */
      variables: sha256,
    })
    .nullable(),
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
