/** The numbers by which the network says why a message is pending or rejected. Public; never renumbered. */
export const NetworkCode = {
  FORMAT: 0,
  SIGNATURE: 1,
  PERMISSION: 2,
  /** Pending: the content of a message with item_type "storage" or "ipfs" is not here. */
  CONTENT_UNAVAILABLE: 3,
  /** Pending: the file that a STORE names is not here. */
  FILE_UNAVAILABLE: 4,
  /** Pending: the STORE that a STORE updates is not here. */
  STORE_REF_MISSING: 200,
  STORE_UPDATE_OF_UPDATE: 201,
  /** Pending: the program that a program replaces is not here. */
  VM_REF_MISSING: 300,
  /** Pending: a STORE that a program uses is not here: its runtime, code, data or a volume. */
  VM_VOLUME_MISSING: 301,
  VM_AMEND_NOT_ALLOWED: 302,
  VM_UPDATE_OF_UPDATE: 303,
  FORGET_NO_TARGET: 500,
  /** Pending: a message to forget is not here. */
  FORGET_TARGET_MISSING: 501,
  FORGET_OF_FORGET: 502,
  /** A STORE to forget is used by a program. */
  FORGET_NOT_ALLOWED: 503,
} as const;

/** One of the numbers. */
export type NetworkCode = (typeof NetworkCode)[keyof typeof NetworkCode];
