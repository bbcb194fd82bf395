/** What the document is about. */
export interface DescribedImage {
  name: string;
  version: string;
  filesystem: string;
  /** SHA-256 of the image. */
  fileHash: string;
  /** The date of the document, in seconds since 1970, so that it is the same each time. */
  epochSeconds: number;
  /** What made it, such as `vmlet-3`. */
  builder: string;
  /** Where its packages come from, where that is known; else its os-release says so. */
  origin?: { distribution?: string | undefined; release?: string | undefined } | undefined;
  /** SHA-256 of a package of the distribution, in hex, as it was installed; undefined where that is not known. */
  sha256Of: (installed: { name: string; version: string; architecture: string }) => string | undefined;
  /** SHA-512 of a package of npm, in hex. */
  sha512Of: (installed: { name: string; version: string }) => string | undefined;
}
