/** The node's folders and its database: layout, locks, formats, migrations, and the one way to write a file. */
export { openCache } from './cache.ts';
export { openDatabase, transact } from './database.ts';
export { openHome, pathsOf, seedHome } from './home.ts';
export { makePrivateDir } from './private-dir.ts';
export { errnoOf } from './storage-error.ts';
export { stageFile, writeFileAtomic } from './write-file.ts';
