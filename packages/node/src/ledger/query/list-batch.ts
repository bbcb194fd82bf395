import type { LedgerDatabase } from '../sqlite/ledger-database.ts';
import { type Bits, clearBit, countBits, readBits, SLOTS, setBit, writeBits } from './bits.ts';
import { compareKeys, type ListKey } from './list-key.ts';
import type { Facet, List, Place } from './places.ts';

/** A block that has fewer than this in use is tidied when it is full, others are cut in two. */
const CUT_FROM = (SLOTS * 3) / 4;

interface Block {
  id: number;
  list: number;
  sort: number;
  hash: string;
  next_slot: number;
  count: number;
}

interface Entry {
  slot: number;
  list: number;
  position: number;
  sort: number;
  facets: Buffer;
}

interface FacetRow {
  id: number;
  count: number;
}

interface Head {
  readonly block: Block;
  /** Of the block after it; undefined if it is the only one. */
  readonly end: ListKey | undefined;
}

interface SlotsOfFacet {
  readonly facet: number;
  readonly block: number;
  readonly bits: Bits;
  readonly isStored: boolean;
}

/** Prepares what batches run, once for a database. */
export type BatchStatements = ReturnType<typeof prepareBatch>;

/** Many changes of lists within one transaction: what they have in common is read and written once, by `flush`. */
export class ListBatch {
  readonly #statements: BatchStatements;
  readonly #blocks = new Map<number, Block>();
  readonly #facets = new Map<number, FacetRow>();
  readonly #facetIds = new Map<string, number>();
  readonly #slots = new Map<string, SlotsOfFacet>();
  /** Of each list the block where it begins: most messages are newer than all before. */
  readonly #heads = new Map<number, Head>();

  constructor(statements: BatchStatements) {
    this.#statements = statements;
  }

  /** Takes a message out of every list. */
  remove(position: number): void {
    for (const entry of this.#statements.entriesAt.all(position)) {
      const block = this.#block(entry.block);
      this.#statements.deleteEntry.run(entry.block, entry.slot);
      for (const id of idsIn(entry.facets)) {
        this.#facet(id).count--;
        clearBit(this.#slotsOf(id, entry.block).bits, entry.slot);
      }
      block.count--;
      // What would have been in it is from now on the matter of the block before it.
      if (block.count === 0 && block.sort !== Number.POSITIVE_INFINITY) this.#drop(block);
    }
  }

  /** Puts a message into a list that does not have it. */
  put(position: number, hash: string, { list, sort, facets }: Place): void {
    const block = this.#roomFor(list, { sort, hash });
    const ids = facets.map((facet) => this.#facetId(list, facet));
    this.#insert(block, { list, position, sort, facets: Buffer.from(Uint32Array.from(ids).buffer) });
    for (const id of ids) this.#facet(id).count++;
    block.count++;
  }

  /** Writes what was gathered. Nothing is read from the lists before. */
  flush(): void {
    // In the order of the table, so that a page is looked for once.
    const slots = [...this.#slots.values()].sort((a, b) => a.facet - b.facet || a.block - b.block);
    for (const { facet, block, bits, isStored } of slots) {
      if (countBits(bits) === 0) this.#statements.deleteSlots.run(facet, block);
      else if (isStored) this.#statements.updateSlots.run(writeBits(bits), facet, block);
      else this.#statements.insertSlots.run(facet, block, writeBits(bits));
    }
    for (const { id, count } of this.#facets.values()) {
      if (count === 0) this.#statements.deleteFacet.run(id);
      else this.#statements.countFacet.run(count, id);
    }
    for (const { id, next_slot, count } of this.#blocks.values()) this.#statements.countBlock.run(next_slot, count, id);
  }

  #roomFor(list: List, key: ListKey): Block {
    const head = this.#heads.get(list) ?? this.#head(list);
    const isInHead = head.end === undefined || compareKeys(key, head.end) < 0;
    const block = isInHead ? head.block : this.#blockOf(list, key);
    if (block.next_slot < SLOTS) return block;
    // There will be other blocks.
    this.#heads.delete(list);
    return this.#relieve(block, key);
  }

  #head(list: List): Head {
    const [first, second] = this.#statements.heads.all(list);
    const block = first ?? this.#create(list, { sort: Number.POSITIVE_INFINITY, hash: '' });
    const head = { block: this.#blocks.get(block.id) ?? block, end: second };
    this.#blocks.set(head.block.id, head.block);
    this.#heads.set(list, head);
    return head;
  }

  #blockOf(list: List, { sort, hash }: ListKey): Block {
    const id = this.#statements.blockInTie.get(list, sort, hash) ?? this.#statements.blockBefore.get(list, sort);
    if (id === undefined) throw new Error(`Cannot find a block of list ${list} for ${sort}: none, expected its head`);
    return this.#block(id);
  }

  /** Makes room for a key in a full block. */
  #relieve(block: Block, key: ListKey): Block {
    const entries = this.#statements.entriesIn.all(block.id).sort(compareKeys);
    const [first, last] = [entries[0], entries.at(-1)];
    if (entries.length < CUT_FROM || first === undefined || last === undefined) {
      this.#clear(block, entries);
      this.#fill(block, entries);
      return block;
    }
    if (block.sort === Number.POSITIVE_INFINITY && compareKeys(key, first) < 0) {
      this.#bound(block, first);
      return this.#create(block.list, { sort: Number.POSITIVE_INFINITY, hash: '' });
    }
    if (compareKeys(last, key) < 0) return this.#create(block.list, key);
    const later = entries.splice(entries.length / 2);
    const bound = later[0] ?? last;
    this.#clear(block, [...entries, ...later]);
    const other = this.#create(block.list, bound);
    this.#fill(block, entries);
    this.#fill(other, later);
    return compareKeys(key, bound) < 0 ? block : other;
  }

  #clear(block: Block, entries: readonly Entry[]): void {
    this.#statements.deleteEntries.run(block.id);
    for (const { slot, facets } of entries) {
      for (const id of idsIn(facets)) clearBit(this.#slotsOf(id, block.id).bits, slot);
    }
    block.next_slot = 0;
    block.count = 0;
  }

  #fill(block: Block, entries: readonly Entry[]): void {
    for (const entry of entries) this.#insert(block, entry);
    block.count = entries.length;
  }

  #insert(block: Block, { list, position, sort, facets }: Omit<Entry, 'slot'>): void {
    const slot = block.next_slot++;
    this.#statements.insertEntry.run(block.id, slot, list, position, sort, facets);
    for (const id of idsIn(facets)) setBit(this.#slotsOf(id, block.id).bits, slot);
  }

  #create(list: number, { sort, hash }: ListKey): Block {
    const id = Number(this.#statements.insertBlock.run(list, sort, hash).lastInsertRowid);
    const block = { id, list, sort, hash, next_slot: 0, count: 0 };
    this.#blocks.set(id, block);
    return block;
  }

  #bound(block: Block, { sort, hash }: ListKey): void {
    block.sort = sort;
    block.hash = hash;
    this.#statements.boundBlock.run(sort, hash, block.id);
  }

  #drop({ id, list }: Block): void {
    this.#statements.deleteBlock.run(id);
    this.#heads.delete(list);
    this.#blocks.delete(id);
  }

  #block(id: number): Block {
    const known = this.#blocks.get(id) ?? this.#statements.block.get(id);
    if (known === undefined) throw new Error(`Cannot find the block ${id} of a list: not there, expected it`);
    this.#blocks.set(id, known);
    return known;
  }

  #facet(id: number): FacetRow {
    const known = this.#facets.get(id) ?? this.#statements.facet.get(id);
    if (known === undefined) throw new Error(`Cannot find the facet ${id} of a list: not there, expected it`);
    this.#facets.set(id, known);
    return known;
  }

  #facetId(list: List, [kind, value]: Facet): number {
    const name = `${list}\n${kind}\n${value}`;
    const known = this.#facetIds.get(name);
    if (known !== undefined) return known;
    const row = this.#statements.facetNamed.get(list, kind, value);
    const id = row?.id ?? Number(this.#statements.insertFacet.run(list, kind, value).lastInsertRowid);
    this.#facetIds.set(name, id);
    if (!this.#facets.has(id)) this.#facets.set(id, row ?? { id, count: 0 });
    return id;
  }

  #slotsOf(facet: number, block: number): SlotsOfFacet {
    const name = `${facet}/${block}`;
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    const blob = this.#statements.slots.get(facet, block);
    const made = { facet, block, bits: readBits(blob), isStored: blob !== undefined };
    this.#slots.set(name, made);
    return made;
  }
}

function idsIn(facets: Buffer): Uint32Array {
  return new Uint32Array(facets.buffer.slice(facets.byteOffset, facets.byteOffset + facets.length));
}

/** Prepares the statements of batches. */
export function prepareBatch(database: LedgerDatabase) {
  return {
    entriesAt: database.prepare<[number], Entry & { block: number }>('SELECT * FROM list_entries WHERE position = ?'),
    entriesIn: database.prepare<[number], Entry & { hash: string }>(`
      SELECT slot, list, list_entries.position, sort, facets, coalesce(item_hash, '') AS hash
      FROM list_entries LEFT JOIN messages USING (position) WHERE block = ?`),
    insertEntry: database.prepare<[number, number, number, number, number, Buffer]>(
      'INSERT INTO list_entries (block, slot, list, position, sort, facets) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    deleteEntry: database.prepare<[number, number]>('DELETE FROM list_entries WHERE block = ? AND slot = ?'),
    deleteEntries: database.prepare<[number]>('DELETE FROM list_entries WHERE block = ?'),
    block: database.prepare<[number], Block>('SELECT * FROM list_blocks WHERE id = ?'),
    heads: database.prepare<[number], Block>(
      'SELECT * FROM list_blocks WHERE list = ? ORDER BY sort DESC, hash LIMIT 2',
    ),
    blockInTie: database
      .prepare<[number, number, string], number>(
        'SELECT id FROM list_blocks WHERE list = ? AND sort = ? AND hash <= ? ORDER BY hash DESC LIMIT 1',
      )
      .pluck(),
    blockBefore: database
      .prepare<[number, number], number>(
        'SELECT id FROM list_blocks WHERE list = ? AND sort > ? ORDER BY sort, hash DESC LIMIT 1',
      )
      .pluck(),
    insertBlock: database.prepare<[number, number, string]>(
      'INSERT INTO list_blocks (list, sort, hash, next_slot, count) VALUES (?, ?, ?, 0, 0)',
    ),
    boundBlock: database.prepare<[number, string, number]>('UPDATE list_blocks SET sort = ?, hash = ? WHERE id = ?'),
    countBlock: database.prepare<[number, number, number]>(
      'UPDATE list_blocks SET next_slot = ?, count = ? WHERE id = ?',
    ),
    deleteBlock: database.prepare<[number]>('DELETE FROM list_blocks WHERE id = ?'),
    facet: database.prepare<[number], FacetRow>('SELECT id, count FROM list_facets WHERE id = ?'),
    facetNamed: database.prepare<[number, string, string], FacetRow>(
      'SELECT id, count FROM list_facets WHERE list = ? AND kind = ? AND value = ?',
    ),
    insertFacet: database.prepare<[number, string, string]>(
      'INSERT INTO list_facets (list, kind, value, count) VALUES (?, ?, ?, 0)',
    ),
    countFacet: database.prepare<[number, number]>('UPDATE list_facets SET count = ? WHERE id = ?'),
    deleteFacet: database.prepare<[number]>('DELETE FROM list_facets WHERE id = ?'),
    slots: database
      .prepare<[number, number], Buffer>('SELECT slots FROM list_bits WHERE facet = ? AND block = ?')
      .pluck(),
    insertSlots: database.prepare<[number, number, Buffer]>(
      'INSERT INTO list_bits (facet, block, slots) VALUES (?, ?, ?)',
    ),
    updateSlots: database.prepare<[Buffer, number, number]>(
      'UPDATE list_bits SET slots = ? WHERE facet = ? AND block = ?',
    ),
    deleteSlots: database.prepare<[number, number]>('DELETE FROM list_bits WHERE facet = ? AND block = ?'),
  };
}
