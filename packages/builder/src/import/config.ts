import { z } from 'zod';

const text = z.string().max(4096);
const words = z.array(text).max(256);

/** What an image says of how it is run: defaults, which a program's own message goes over. */
export const imageConfigSchema = z.object({
  /** Begins each command; `cmd`, or a program's own arguments, come behind it. */
  entrypoint: words,
  cmd: words,
  env: z.record(z.string().min(1).max(256), z.string().max(131_072)),
  /** Absolute; where the command starts. */
  workdir: text,
  /** `NAME` or number, and `:GROUP` where there is one; empty for root. */
  user: z.string().max(256),
  /** Such as `80/tcp`, in order. */
  exposedPorts: z.array(z.string().regex(/^\d{1,5}\/(tcp|udp|sctp)$/)).max(256),
  labels: z.record(z.string().max(256), text),
  /** Such as `SIGTERM`; empty where nothing is said. */
  stopSignal: z.string().max(32),
});

export type ImageConfig = z.infer<typeof imageConfigSchema>;

/** Of a tree that says nothing. */
export const NO_CONFIG: ImageConfig = {
  entrypoint: [],
  cmd: [],
  env: {},
  workdir: '/',
  user: '',
  exposedPorts: [],
  labels: {},
  stopSignal: '',
};

/** Members that are missing are written as null by Go, in some programs. */
const orNone = <T extends z.ZodType>(type: T) => type.nullish();

/** A configuration as the OCI has it, and Docker before it (image-spec, config.md). */
export const ociConfigSchema = z.object({
  architecture: z.string(),
  os: z.string(),
  config: orNone(
    z.object({
      User: orNone(z.string()),
      ExposedPorts: orNone(z.record(z.string(), z.unknown())),
      Env: orNone(z.array(z.string())),
      Entrypoint: orNone(z.array(z.string())),
      Cmd: orNone(z.array(z.string())),
      WorkingDir: orNone(z.string()),
      Labels: orNone(z.record(z.string(), z.string())),
      StopSignal: orNone(z.string()),
    }),
  ),
  rootfs: z.object({ diff_ids: orNone(z.array(z.string())) }),
});

export type OciConfig = z.infer<typeof ociConfigSchema>;

/** What of an image's configuration counts here; parsing says what does not fit. */
export function imageConfigOf({ config }: OciConfig): z.ZodSafeParseResult<ImageConfig> {
  const env = (config?.Env ?? []).map((entry) => {
    const equals = entry.indexOf('=');
    return equals < 0 ? ([entry, ''] as const) : ([entry.slice(0, equals), entry.slice(equals + 1)] as const);
  });
  const ports = Object.keys(config?.ExposedPorts ?? {}).map((port) => (port.includes('/') ? port : `${port}/tcp`));
  return imageConfigSchema.safeParse({
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    env: Object.fromEntries(env.filter(([name]) => name !== '')),
    workdir: config?.WorkingDir || '/',
    user: config?.User ?? '',
    exposedPorts: ports.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)),
    labels: Object.fromEntries(Object.entries(config?.Labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))),
    stopSignal: config?.StopSignal ?? '',
  });
}
