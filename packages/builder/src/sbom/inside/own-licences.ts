import { createHash } from 'node:crypto';
import type { OwnLicence } from './licences.ts';

/** Of a longer text, the beginning stands in the document: the whole is in the image. */
const MAX_TEXT_CHARS = 4096;
const MAX_ID_CHARS = 40;
/** More licences of their own have no entry each. */
const MAX_LICENCES = 2000;

/** A licence that is not on SPDX's list, under the name that stands for it in the document. */
export interface ReferredLicence extends OwnLicence {
  readonly id: string;
}

/** Gives licences that are not on SPDX's list a name: one of the same words and the same text has the same. */
export class OwnLicences {
  readonly #byId = new Map<string, ReferredLicence>();

  /** For `spdxExpression`. */
  readonly refer = ({ name, text }: OwnLicence): string => {
    const words = name.replaceAll(/[^A-Za-z0-9.-]+/g, '-').slice(0, MAX_ID_CHARS);
    const id = `LicenseRef-${words}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
    if (this.#byId.has(id)) return id;
    if (this.#byId.size >= MAX_LICENCES) return this.#more();
    const cut = text.length > MAX_TEXT_CHARS ? `${text.slice(0, MAX_TEXT_CHARS)} [...]` : text;
    this.#byId.set(id, { id, name: name.slice(0, MAX_TEXT_CHARS), text: cut });
    return id;
  };

  /** All that were given, sorted by their names in the document. */
  all(): ReferredLicence[] {
    return [...this.#byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #more(): string {
    const id = 'LicenseRef-more';
    this.#byId.set(id, { id, name: 'more', text: `This image names more than ${MAX_LICENCES} licences of their own` });
    return id;
  }
}
