/** Version of the control protocol that `hello` announces. A change that an old peer cannot read raises it. */
export const PROTOCOL_VERSION = 1;

/** Greatest number of bytes of a frame's body, the four bytes of its length not counted. */
export const MAX_FRAME_BYTES = 1_048_576;

/** Greatest nesting of objects and arrays; the frame's own object is level 1. */
export const MAX_DEPTH = 16;

/**
 * Bounds of single fields. `...Chars` counts UTF-16 code units, as `String.length` does: never more than the bytes of
 * the same text in UTF-8. A message that breaks one is malformed, whoever sent it.
 */
export const FIELD_LIMITS = {
  /** `log.text`: init0 reads at most this many bytes a frame, and a byte never makes more than one code unit. */
  logTextChars: 16_384,
  /** `failed.detail`: a traceback or errno text. */
  detailChars: 65_536,
  /** `failed.message`: one line. */
  messageChars: 4_096,
  /** Names and versions that a guest states about itself: launcher, server, kernel, feature, mark. */
  nameChars: 128,
  features: 64,
  codeChars: 64,
  entrypointChars: 1_024,
  pathChars: 4_096,
  hostnameChars: 63,
  entropyBytesLeast: 32,
  entropyBytesMost: 512,
  dnsServers: 3,
  argvItems: 64,
  variables: 1_024,
  variableNameChars: 256,
  variableValueChars: 131_072,
  /** `halt.graceMs`: ten minutes. */
  graceMsMost: 600_000,
} as const;

/** Bounds of the wire, the port that carries streams between host and guest. C has the same numbers: `init0/wire.h`. */
export const WIRE_LIMITS = {
  /** Most bytes of a frame behind its header: with it a frame is 32 KiB, what Linux writes to a port at once. */
  payloadBytes: 32_760,
  /** What a side may send on a stream before the other side has taken any of it: the most that either must hold. */
  windowBytes: 131_072,
  /** Streams that are open at the same time. */
  streams: 512,
} as const;
