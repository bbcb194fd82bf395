/** What a machine may send in one copy, in bytes: it could send for ever. */
export const MAX_COPY_BYTES = 4 * 1024 * 1024 * 1024;
/** Files, folders and links of one copy. */
export const MAX_COPY_ENTRIES = 100_000;
/** Bytes of a path below what is copied. */
export const MAX_COPY_PATH_BYTES = 4095;
