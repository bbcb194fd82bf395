/** The versions of Node.js that an image brings, found by the folders that nvm keeps them in. */
import { accessSync, constants, readdirSync, statSync } from 'fs';
import { join } from 'path';
import { readVersion, type Version } from './version-range.ts';

/** A version of Node.js that is here. */
export interface InstalledNode {
  version: Version;
  /** Its executable. */
  path: string;
}

/** The official runtimes' folder, and nvm's own. */
const FOLDERS = ['/opt/node', '/root/.nvm/versions/node', '/usr/local/nvm/versions/node'];
const MAX_VERSIONS = 100;

/** The Node.js that runs this. */
export function runningNode(): InstalledNode {
  return { version: readVersion(process.versions.node) ?? [0, 0, 0], path: process.execPath };
}

/**
 * The running one and those in the folders of `NVM_DIR`, or in the usual ones. A folder's name says its version, which
 * counts where it has an executable file `bin/node`: whether that is the version it says shows when it runs.
 */
export function installedNodes(): InstalledNode[] {
  const { NVM_DIR: own } = process.env;
  const folders = own ? [own, join(own, 'versions/node')] : FOLDERS;
  const found = [runningNode(), ...folders.reduce<InstalledNode[]>((all, folder) => all.concat(inFolder(folder)), [])];
  return found.filter(
    ({ version }, index) => found.findIndex((other) => other.version.join() === version.join()) === index,
  );
}

function inFolder(folder: string): InstalledNode[] {
  const nodes: InstalledNode[] = [];
  for (const name of namesIn(folder).slice(0, MAX_VERSIONS)) {
    const version = readVersion(name);
    const path = join(folder, name, 'bin/node');
    if (version !== undefined && isExecutable(path)) nodes.push({ version, path });
  }
  return nodes;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
