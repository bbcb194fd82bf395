import { z } from 'zod';
import { FIELD_LIMITS } from './limits.ts';

const L = FIELD_LIMITS;
const name = z.string().min(1).max(L.nameChars);
const port = z.int().min(1).max(65_535);
/** Microseconds: zod's `int` is bounded by 2^53 - 1. */
const timeUs = z.int().nonnegative();
// What becomes an argument, a path or an environment entry is a C string: it cannot hold a NUL.
const cString = (chars: number) =>
  z
    .string()
    .max(chars)
    .refine((text) => !text.includes('\0'), 'a NUL byte');
const variableName = cString(L.variableNameChars)
  .min(1)
  .regex(/^[^=]+$/);
const variables = z
  .record(variableName, cString(L.variableValueChars))
  .refine((entries) => Object.keys(entries).length <= L.variables, `more than ${L.variables} variables`);
/** What a program is to its launcher: Python's two, Node.js's three, and a server of its own in any language. */
const programInterface = z.enum(['asgi', 'wsgi', 'fetch', 'handler', 'listen', 'executable']);

const clock = z.object({ sec: z.int().nonnegative(), nsec: z.int().min(0).max(999_999_999) });

/** What makes one machine another than its siblings. */
const identity = {
  hostname: z
    .string()
    .max(L.hostnameChars)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i),
  /** 32 hexadecimal digits, as /etc/machine-id holds them. */
  machineId: z.string().regex(/^[0-9a-f]{32}$/),
  clock,
  /** Hexadecimal, two digits a byte. */
  entropy: z
    .string()
    .min(2 * L.entropyBytesLeast)
    .max(2 * L.entropyBytesMost)
    .regex(/^([0-9a-f]{2})+$/),
};

const configure = z.object({
  type: z.literal('configure'),
  ...identity,
  network: z
    .object({
      address: z.ipv4(),
      prefix: z.int().min(0).max(32),
      gateway: z.ipv4(),
      dns: z.array(z.ipv4()).max(L.dnsServers),
    })
    .nullable(),
  launcher: z.object({
    argv: z.array(cString(L.pathChars)).min(1).max(L.argvItems),
    env: variables,
  }),
});

/** For the launcher's own endpoint: who sends it is the host. */
const prime = z.string().regex(/^[0-9a-f]{32}$/);

const load = z.object({
  type: z.literal('load'),
  code: z.object({ device: z.string().regex(/^\/dev\/[a-z0-9]{1,32}$/) }).nullable(),
  entrypoint: cString(L.entrypointChars),
  interface: programInterface.nullable(),
  /** Arguments of an executable. */
  args: z.array(cString(L.pathChars)).max(L.argvItems).optional(),
  variables,
  port,
  prime: prime.optional(),
});

/** To the launcher: prime what will serve, and call the program's `before_snapshot`. */
const prepare = z.object({ type: z.literal('prepare') });

/** To init0: from its answer on no instruction of launcher or program is run. */
const freeze = z.object({ type: z.literal('freeze') });

/** To init0 of a clone: take this identity, then let launcher and program go on. */
const thaw = z.object({ type: z.literal('thaw'), ...identity });

/** To the launcher of a clone: reseed what stands in the process, and call the program's `after_restore`. */
const resume = z.object({ type: z.literal('resume'), variables, prime: prime.optional() });

/** To init0 of a machine whose processors stood still: the time, before anything else. */
const clockMessage = z.object({ type: z.literal('clock'), clock });

const halt = z.object({ type: z.literal('halt'), graceMs: z.int().min(0).max(L.graceMsMost) });

const hello = z.object({
  type: z.literal('hello'),
  /** Any: that it is another than the host's is told in words, and an init0 of an image may be of any version. */
  protocol: z.int().min(0).max(FIELD_LIMITS.protocolMost),
  version: name,
  kernel: name,
  /** Since the kernel started (CLOCK_BOOTTIME). */
  uptimeUs: timeUs,
});

const ready = z.object({
  type: z.literal('ready'),
  launcher: name,
  version: name,
  features: z.array(name).max(L.features),
});

const loaded = z.object({ type: z.literal('loaded'), port, interface: programInterface, server: name });

const failed = z.object({
  type: z.literal('failed'),
  phase: z.enum(['boot', 'configure', 'ready', 'load', 'serve', 'snapshot', 'resume', 'halt']),
  code: z
    .string()
    .max(L.codeChars)
    .regex(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/),
  message: z
    .string()
    .max(L.messageChars)
    .regex(/^[^\r\n]*$/),
  detail: z.string().max(L.detailChars),
});

/** A named point in time, for measurements only: nothing may depend on one. */
const mark = z.object({ type: z.literal('mark'), name, uptimeUs: timeUs });

const log = z.object({
  type: z.literal('log'),
  stream: z.enum(['stdout', 'stderr']),
  /** Wall clock of the guest, since 1970. */
  timeUs,
  text: z.string().max(L.logTextChars),
});

const exited = z.object({
  type: z.literal('exited'),
  role: z.literal('launcher'),
  /** Exactly one of `code` and `signal` is not null. */
  code: z.int().min(0).max(255).nullable(),
  signal: z
    .string()
    .regex(/^SIG[A-Z0-9+]{2,12}$/)
    .nullable(),
});

const prepared = z.object({ type: z.literal('prepared') });

const frozen = z.object({ type: z.literal('frozen') });

const resumed = z.object({ type: z.literal('resumed') });

/** init0 has set the clock. */
const clocked = z.object({ type: z.literal('clocked') });

const halted = z.object({ type: z.literal('halted') });

/** What the host sends. Members that are not named here are dropped. */
export const hostMessage = z.discriminatedUnion('type', [
  configure,
  load,
  prepare,
  freeze,
  thaw,
  resume,
  clockMessage,
  halt,
]);

/** What a guest sends, init0 or init1. All of it is hostile input: every string and number is bounded. */
export const guestMessage = z.discriminatedUnion('type', [
  hello,
  ready,
  loaded,
  failed,
  mark,
  log,
  exited.refine((message) => (message.code === null) !== (message.signal === null), 'code and signal together'),
  prepared,
  frozen,
  resumed,
  clocked,
  halted,
]);

/** One message from the host to init0. */
export type HostMessage = z.infer<typeof hostMessage>;

/** One message from init0 or init1 to the host. */
export type GuestMessage = z.infer<typeof guestMessage>;
