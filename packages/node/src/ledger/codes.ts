/** The numbers by which the network says why a message is pending or rejected. Public; never renumbered. */
export const NetworkCode = {
  /** A defect of this node: the message is tried again. */
  INTERNAL: -1,
  FORMAT: 0,
  SIGNATURE: 1,
  PERMISSION: 2,
  /** Pending: the content of a message with item_type "storage" or "ipfs" is not here. */
  CONTENT_UNAVAILABLE: 3,
  /** Pending: the file that a STORE names is not here. */
  FILE_UNAVAILABLE: 4,
  BALANCE: 5,
  CREDIT: 6,
  /** An amend whose ref names no message. */
  AMEND_NO_TARGET: 100,
  /** Pending: the POST that an amend changes is not here. */
  AMEND_TARGET_MISSING: 101,
  AMEND_OF_AMEND: 102,
  /** Pending: the STORE that a STORE updates is not here. */
  STORE_REF_MISSING: 200,
  STORE_UPDATE_OF_UPDATE: 201,
  PAYMENT_METHOD: 202,
  /** Pending: the program or instance that another one replaces is not here. */
  VM_REF_MISSING: 300,
  /** Pending: a STORE that a program or instance uses is not here: runtime, code, data, root filesystem or a volume. */
  VM_VOLUME_MISSING: 301,
  VM_AMEND_NOT_ALLOWED: 302,
  VM_UPDATE_OF_UPDATE: 303,
  /** A volume is smaller than what it is a copy of. */
  VM_VOLUME_TOO_SMALL: 304,
  FORGET_NO_TARGET: 500,
  /** Pending: a message to forget is not here. */
  FORGET_TARGET_MISSING: 501,
  FORGET_OF_FORGET: 502,
  /** A STORE to forget is used by a program or an instance. */
  FORGET_NOT_ALLOWED: 503,
  /** A message that is handed in was forgotten. */
  FORGOTTEN_DUPLICATE: 504,
} as const;

/** One of the numbers. */
export type NetworkCode = (typeof NetworkCode)[keyof typeof NetworkCode];
