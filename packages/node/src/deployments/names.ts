import type { ItemHash } from '@vmlet/messages';
import { sameAddress } from '@vmlet/messages/schema';
import { VmletError } from '../errors.ts';
import { transact } from '../store/index.ts';
import { nameFault } from './name-rules.ts';
import { type DeploymentsDatabase, type NamedVersion, type NameRecord, NameTables } from './name-tables.ts';

/** Versions of a name that can be gone back to. */
const VERSIONS_KEPT = 10;

/**
 * The names of programs. A name belongs to the owner who took it first, leads to one program at a time, and is moved
 * from one to the next in one transaction. All names are held in memory, for each request asks for one.
 */
export class Names {
  readonly #database: DeploymentsDatabase;
  readonly #tables: NameTables;
  readonly #records = new Map<string, NameRecord>();

  constructor(database: DeploymentsDatabase) {
    this.#database = database;
    this.#tables = new NameTables(database);
    for (const record of this.#tables.all()) this.#records.set(record.name, record);
  }

  has(name: string): boolean {
    return this.#records.has(name);
  }

  /** In alphabetical order. */
  list(): NameRecord[] {
    return [...this.#records.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): NameRecord | undefined {
    return this.#records.get(name);
  }

  /** @throws VmletError `NAME_UNKNOWN` */
  get(name: string): NameRecord {
    const record = this.#records.get(name);
    if (record === undefined) throw new VmletError('NAME_UNKNOWN', { operands: { name: name.slice(0, 128) } });
    return record;
  }

  /**
   * Passes where an owner may have a name.
   * @throws VmletError `NAME_MALFORMED`, `NAME_TAKEN`
   */
  check(name: string, { address }: { address: string }): void {
    const found = nameFault(name);
    if (found !== undefined) throw new VmletError('NAME_MALFORMED', { operands: { name: name.slice(0, 128), found } });
    const owner = this.#records.get(name)?.address;
    if (owner !== undefined && !sameAddress(owner, address)) {
      throw new VmletError('NAME_TAKEN', { operands: { name, found: `it belongs to "${owner}"` } });
    }
  }

  /**
   * Leads a name to a program in force, from the next request on; a name that nobody has is taken. One of its own
   * versions keeps its number.
   * @throws VmletError `NAME_MALFORMED`, `NAME_TAKEN`, `STORAGE_FULL`, `STORAGE_FAILED`
   */
  move(name: string, { itemHash, address, nowMs }: { itemHash: ItemHash; address: string; nowMs: number }): NameRecord {
    this.check(name, { address });
    return this.#change(name, () => {
      this.#tables.take(name, address);
      this.#tables.lead(name, { itemHash, nowMs, kept: VERSIONS_KEPT });
    });
  }

  /**
   * Leads a name back: to the version that served before this one came, or to a given one.
   * @param to number of a version, or the start of its item_hash
   * @throws VmletError `NAME_UNKNOWN`, `NAME_VERSION_UNKNOWN`, `STORAGE_FULL`, `STORAGE_FAILED`
   */
  rollback(name: string, { to }: { to: string | undefined }): NameRecord {
    const record = this.get(name);
    const target = to === undefined ? before(record) : chosen(record, to);
    if (target === undefined) {
      const known = record.versions.map(({ version }) => version).join(', ');
      const found = to === undefined ? 'it has no earlier one' : `"${to.slice(0, 64)}" is not one`;
      throw new VmletError('NAME_VERSION_UNKNOWN', { operands: { name, found, known: known || 'none' } });
    }
    return this.#change(name, () => this.#tables.point(name, target.itemHash));
  }

  /**
   * Gives a name another spelling; its versions go with it, and the old spelling is free at once.
   * @throws VmletError `NAME_UNKNOWN`, `NAME_MALFORMED`, `NAME_TAKEN`, `STORAGE_FULL`, `STORAGE_FAILED`
   */
  rename(name: string, to: string): NameRecord {
    const { address } = this.get(name);
    this.check(to, { address });
    if (this.#records.has(to)) {
      throw new VmletError('NAME_TAKEN', { operands: { name: to, found: 'another program of yours has it' } });
    }
    const renamed = this.#change(to, () => this.#tables.rename(name, to));
    this.#records.delete(name);
    return renamed;
  }

  /** Frees a name. @throws VmletError `NAME_UNKNOWN`, `STORAGE_FULL`, `STORAGE_FAILED` */
  remove(name: string): void {
    this.get(name);
    transact(this.#database, () => this.#tables.remove(name));
    this.#records.delete(name);
  }

  /** A program is forgotten: names lead to it no more, and a name without any version is free. */
  forget(itemHash: ItemHash): void {
    for (const { name, versions } of this.#records.values()) {
      if (!versions.some((version) => version.itemHash === itemHash)) continue;
      const left = this.#tables.read(name);
      if (left !== undefined && left.versions.length > 0) this.#records.set(name, left);
      else this.remove(name);
    }
  }

  #change(name: string, change: () => void): NameRecord {
    const record = transact(this.#database, () => {
      change();
      return this.#tables.read(name);
    });
    if (record === undefined) throw new TypeError(`Cannot read back the name "${name}": no row, expected one`);
    this.#records.set(name, record);
    return record;
  }
}

/** The version that served when the one that serves now came, or the newest that is left of those before it. */
function before({ itemHash, versions }: NameRecord): NamedVersion | undefined {
  const current = versions.find((version) => version.itemHash === itemHash);
  // Where the name leads nowhere, any is better than none.
  if (current === undefined) return versions[0];
  const { previous } = current;
  return previous === undefined ? undefined : versions.find(({ version }) => version <= previous);
}

function chosen({ versions }: NameRecord, to: string): NamedVersion | undefined {
  const number = /^v?(\d{1,9})$/.exec(to)?.[1];
  const numbered = number === undefined ? undefined : versions.find(({ version }) => version === Number(number));
  if (numbered !== undefined) return numbered;
  const begun = /^[0-9a-zA-Z]{6,64}$/.test(to) ? versions.filter(({ itemHash }) => itemHash.startsWith(to)) : [];
  return begun.length === 1 ? begun[0] : undefined;
}
