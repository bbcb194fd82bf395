/** What a collection came to. */
export interface CollectionSummary {
  /** Whether nothing was removed: the figures say what would be. */
  readonly dryRun: boolean;
  /** Files that were removed. */
  readonly files: number;
  /** Their bytes, and those of the code images. */
  readonly freedBytes: number;
  /** Code images that were removed, for their files are gone. */
  readonly codeImages: number;
  /** Files that nothing holds, within their grace. */
  readonly waitingFiles: number;
  readonly waitingBytes: number;
  /** Files that something holds. */
  readonly heldFiles: number;
  readonly heldBytes: number;
}
