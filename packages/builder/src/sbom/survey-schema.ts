import { z } from 'zod';

const text = z.string().max(1024);
const expression = z.string().max(32_768);

const systemPackageSchema = z.object({
  name: text,
  version: text,
  architecture: text,
  source: z.object({ name: text, version: text }),
  maintainer: text.optional(),
  homepage: text.optional(),
  summary: text.optional(),
  installedBytes: z.number().nonnegative().optional(),
  licence: expression.optional(),
});

/** What the survey in the box answers. A tree's own words are in it: it is believed to be of this form, and no more. */
export const surveySchema = z.object({
  osRelease: z.record(z.string(), z.string().max(256)),
  manager: z.enum(['dpkg', 'apk', 'rpm', 'none']),
  packages: z.array(systemPackageSchema).max(50_000),
  languages: z
    .array(
      z.object({
        kind: z.enum(['npm', 'pypi']),
        name: text,
        version: text,
        licence: expression.optional(),
        path: z.string().max(4096).optional(),
      }),
    )
    .max(20_000),
  added: z.array(
    z.object({
      path: z.string(),
      sha1: z.string().regex(/^[0-9a-f]{40}$/),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      sizeBytes: z.int().nonnegative(),
    }),
  ),
  ownLicences: z.array(z.object({ id: text, name: z.string(), text: z.string() })),
  unpackedBytes: z.number().nonnegative(),
});

/** What a tree is made of. */
export type TreeSurvey = z.infer<typeof surveySchema>;
