/** The content of an INSTANCE message. */
import * as z from 'zod';
import { itemHashSchema } from './hashes.ts';
import { executableMembers, MAX_VOLUME_MIB, parentSchema, persistenceSchema } from './machine.ts';
import { optional } from './members.ts';

const trustedExecutionSchema = z.looseObject({ firmware: optional(itemHashSchema), policy: z.int().min(0).default(1) });

const environmentSchema = z.object({
  internet: z.boolean().default(false),
  aleph_api: z.boolean().default(false),
  hypervisor: optional(z.enum(['qemu', 'firecracker'])),
  trusted_execution: optional(trustedExecutionSchema),
  reproducible: z.boolean().default(false),
  shared_cache: z.boolean().default(false),
});

const rootfsSchema = z.object({
  parent: parentSchema,
  persistence: persistenceSchema,
  size_mib: z.int().min(1).max(MAX_VOLUME_MIB),
});

/**
 * Reads an INSTANCE content. What one member demands of another (payment by stream or credit needs a node_hash, a GPU
 * needs QEMU and a node_hash, trusted execution needs QEMU) is checked here, for it depends on the content alone.
 */
export const instanceContentSchema = z
  .strictObject({ ...executableMembers, environment: environmentSchema, rootfs: rootfsSchema })
  .superRefine((content, context) => {
    const require = (condition: boolean, path: string[], wanted: string) => {
      if (!condition) context.addIssue({ code: 'custom', path, message: wanted });
    };
    const hasNode = content.requirements?.node?.node_hash !== undefined;
    const onQemu = content.environment.hypervisor === 'qemu';
    if (content.payment?.type === 'superfluid' || content.payment?.type === 'credit') {
      require(hasNode, [
        'requirements',
        'node',
        'node_hash',
      ], `a node_hash with payment type "${content.payment.type}"`);
    }
    if ((content.requirements?.gpu?.length ?? 0) > 0) {
      require(hasNode, ['requirements', 'node', 'node_hash'], 'a node_hash with a GPU');
      require(onQemu, ['environment', 'hypervisor'], '"qemu" with a GPU');
    }
    if (content.environment.trusted_execution !== undefined) {
      require(onQemu, ['environment', 'hypervisor'], '"qemu" with trusted execution');
    }
  });
