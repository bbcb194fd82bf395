import { removeTree } from './hierarchy.ts';

/** Each takes some 0.2 ms; a busy host lets processes that are dying wait for their turn. */
const MAX_TRIES = 2000;

/**
 * Removes cgroups. Where what stood above a machine was killed, nobody knows when its processes have left: what is busy
 * is tried again with the next one, and the last of it by the next node of the home.
 */
export class Removals {
  readonly #waiting = new Set<string>();

  async remove(folders: readonly string[]): Promise<void> {
    for (const folder of folders) this.#waiting.add(folder);
    for (const folder of [...this.#waiting]) if (await removeTree(folder)) this.#waiting.delete(folder);
  }
  /** At the end, with the folders that held them. Processes that are dying get the time of some thousand calls. */
  async finish(parents: readonly string[]): Promise<void> {
    await this.remove(parents);
    for (let tries = 1; tries < MAX_TRIES && this.#waiting.size > 0; tries++) await this.remove([]);
  }
}
