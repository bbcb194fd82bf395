/** What PROGRAM and INSTANCE contents share: resources, requirements, volumes. */
import * as z from 'zod';
import { addressSchema, itemHashSchema } from './hashes.ts';
import { baseMembers, boundedMap, labelSchema, metadataSchema, optional, paymentSchema } from './members.ts';

/** 2,048 GB in MiB, rounded up. */
export const MAX_VOLUME_MIB = 1_953_125;
const MAX_EPHEMERAL_MIB = 1000;
const MAX_MEMORY_MIB = 1_048_576;
/** Ten years. */
const MAX_SECONDS = 315_360_000;
const MAX_VOLUMES = 256;
const MAX_VARIABLES = 256;
const MAX_AUTHORIZED_KEYS = 256;

const publishedPortSchema = z.object({
  protocol: z.enum(['tcp', 'udp']).default('tcp'),
  port: z.int().min(1).max(65_535),
});

/** Extra members are ignored. `memory` is in MiB, `seconds` bounds one call. */
export const resourcesSchema = z.object({
  vcpus: z.int().min(1).max(256).default(1),
  memory: z.int().min(1).max(MAX_MEMORY_MIB).default(128),
  seconds: z.int().min(1).max(MAX_SECONDS).default(1),
  published_ports: optional(z.array(publishedPortSchema)),
});

const requirementsSchema = z.strictObject({
  cpu: optional(
    z.strictObject({
      architecture: optional(z.enum(['x86_64', 'arm64'])),
      vendor: optional(z.string()),
      features: optional(z.array(z.string())),
    }),
  ),
  node: optional(
    z.strictObject({
      owner: optional(addressSchema),
      // Kept as text: it is the writer's regular expression and is never run here.
      address_regex: optional(z.string().max(256)),
      node_hash: optional(itemHashSchema),
      terms_and_conditions: optional(itemHashSchema),
    }),
  ),
  gpu: optional(
    z.array(
      z.strictObject({
        vendor: z.string(),
        device_name: z.string(),
        device_class: z.enum(['0300', '0302']),
        device_id: z.string(),
      }),
    ),
  ),
});

/** A volume that another one is copied from. Extra members are ignored. */
export const parentSchema = z.object({ ref: itemHashSchema, use_latest: z.boolean().default(true) });

/** Where a persistent volume lives: on the machine's host, or in the network's store. */
export const persistenceSchema = z.enum(['host', 'store']);

const volumeLabels = { comment: optional(labelSchema), mount: optional(labelSchema) };

/** A drive of a machine: immutable (`ref`), ephemeral (`ephemeral: true`) or persistent. Unknown members are refused. */
export const volumeSchema = z.union([
  z.strictObject({ ...volumeLabels, ref: itemHashSchema, use_latest: z.boolean().default(true) }),
  z.strictObject({ ...volumeLabels, ephemeral: z.literal(true), size_mib: z.int().min(1).max(MAX_EPHEMERAL_MIB) }),
  z.strictObject({
    ...volumeLabels,
    parent: optional(parentSchema),
    persistence: optional(persistenceSchema),
    name: optional(labelSchema),
    size_mib: z.int().min(1).max(MAX_VOLUME_MIB),
  }),
]);

/** Members PROGRAM and INSTANCE have in common. */
export const executableMembers = {
  ...baseMembers,
  allow_amend: z.boolean(),
  metadata: optional(metadataSchema),
  authorized_keys: optional(z.array(z.string().max(8192)).max(MAX_AUTHORIZED_KEYS)),
  // Public: anyone can read a message, so no secret belongs here.
  variables: optional(boundedMap(z.record(z.string().max(128), z.string().max(4096)), MAX_VARIABLES)),
  resources: resourcesSchema,
  payment: optional(paymentSchema),
  requirements: optional(requirementsSchema),
  volumes: z.array(volumeSchema).max(MAX_VOLUMES).default([]),
  replaces: optional(z.string().max(128)),
};
