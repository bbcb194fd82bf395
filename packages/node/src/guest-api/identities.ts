import type { ItemHash } from '@vmlet/messages';
import { ownerKey } from '../admission/index.ts';
import { loadOrCreateProgramKey, type ProgramKey, removeProgramKey } from '../keys/index.ts';
import type { openDatabase } from '../store/index.ts';

interface Row {
  item_hash: ItemHash;
  address: string;
  owner: string;
}

/** A program, and the address that answers for it. */
export interface OwnedProgram {
  itemHash: ItemHash;
  owner: string;
}

export interface IdentitiesOptions {
  database: ReturnType<typeof openDatabase>;
  /** Where the keys are. */
  dir: string;
}

/**
 * Each program's own key and address, made when it is first wanted. Whose program an address is stays known when the
 * program is gone: what it has published still counts for its owner.
 */
export class Identities {
  readonly #dir: string;
  readonly #keys = new Map<ItemHash, Promise<ProgramKey>>();
  /** By address, as {@link ownerKey} writes it. */
  readonly #programs = new Map<string, OwnedProgram>();
  readonly #insert: (row: Row) => void;

  constructor({ database, dir }: IdentitiesOptions) {
    this.#dir = dir;
    const rows = database.prepare<[], Row>('SELECT item_hash, address, owner FROM program_addresses').all();
    for (const row of rows) this.#remember(row);
    // A home that was copied without its keys gets new ones.
    const insert = database.prepare<Row>(
      `INSERT INTO program_addresses (item_hash, address, owner) VALUES ($item_hash, $address, $owner)
       ON CONFLICT (item_hash) DO UPDATE SET address = excluded.address`,
    );
    this.#insert = (row) => void insert.run(row);
  }

  /**
   * The key of a program.
   * @throws VmletError `KEY_EXPOSED`, `KEY_UNREADABLE`, `STORAGE_FULL`, `STORAGE_FAILED`
   */
  of({ itemHash, owner }: OwnedProgram): Promise<ProgramKey> {
    const known = this.#keys.get(itemHash);
    if (known) return known;
    const loading = this.#load({ itemHash, owner });
    this.#keys.set(itemHash, loading);
    loading.catch(() => this.#keys.delete(itemHash));
    return loading;
  }

  /** The program whose own address this is, in force or not; undefined if it is nobody's here. */
  programOf(address: string): OwnedProgram | undefined {
    return this.#programs.get(ownerKey(address));
  }

  /** The addresses of all programs that an owner has, or had. */
  addressesOf(owner: string): string[] {
    const key = ownerKey(owner);
    return [...this.#programs].flatMap(([address, program]) => (ownerKey(program.owner) === key ? [address] : []));
  }

  /** Removes the key of a program that is gone for good. */
  async forget(itemHash: ItemHash): Promise<void> {
    this.#keys.delete(itemHash);
    await removeProgramKey(this.#dir, itemHash);
  }

  async #load({ itemHash, owner }: OwnedProgram): Promise<ProgramKey> {
    const key = await loadOrCreateProgramKey(this.#dir, itemHash);
    const row = { item_hash: itemHash, address: ownerKey(key.signer.address), owner };
    if (!this.programOf(row.address)) {
      this.#insert(row);
      this.#remember(row);
    }
    return key;
  }

  #remember({ item_hash: itemHash, address, owner }: Row): void {
    this.#programs.set(address, { itemHash, owner });
  }
}
