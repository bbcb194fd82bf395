/** What the test files share: the launcher, compiled once for each of them, and each version of Node to try it on. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { buildNodeLauncher } from '../build.ts';
import { folderOf, type GuestFrame, Launcher, type LoadOptions, type NodeVersion, nodeVersions } from './harness.ts';

/** A program's files, by path. The first is its entrypoint unless one is named. */
export type Files = Readonly<Record<string, string>>;

export interface StartOptions extends LoadOptions {
  entrypoint?: string;
  env?: Record<string, string>;
}

export interface Suite {
  version: NodeVersion;
  file: string;
  /** Starts a launcher that waits for `load`, with the files as its code. */
  launch(files?: Files, env?: Record<string, string>): Promise<Launcher>;
  /** Loads a program, and expects it to be served. */
  serve(files: Files, options?: StartOptions): Promise<Launcher & { loaded: GuestFrame }>;
  /** Loads a program, and expects it to fail. */
  failure(files: Files, options?: StartOptions): Promise<GuestFrame & { exitCode: number | null; stderr: string }>;
}

/** Runs `tests` on each version of Node from `least` on. */
export async function onEachNode(name: string, tests: (suite: Suite) => void, least = 14): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-launcher-'));
  await buildNodeLauncher(folder);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  for (const version of (await nodeVersions()).filter(({ major }) => major >= least)) {
    describe(`${name}, Node ${version.major}`, () => tests(suiteOf(version, join(folder, 'init1.js'))));
  }
}

function suiteOf(version: NodeVersion, file: string): Suite {
  const launch = async (files: Files = {}, env: Record<string, string> = {}) =>
    new Launcher(version.path, file, { code: await folderOf(files), env });
  const load = async (files: Files, { entrypoint, env, ...options }: StartOptions) => {
    const launcher = await launch(files, env);
    return { launcher, frame: await launcher.load(entrypoint ?? Object.keys(files)[0] ?? '', options) };
  };
  return {
    version,
    file,
    launch,
    async serve(files, options = {}) {
      const { launcher, frame } = await load(files, options);
      expect(frame, launcher.stderr).toMatchObject({ type: 'loaded' });
      return Object.assign(launcher, { loaded: frame as GuestFrame });
    },
    async failure(files, options = {}) {
      const { launcher, frame } = await load(files, options);
      expect(frame, launcher.stderr).toMatchObject({ type: 'failed', phase: 'load' });
      const { code } = await launcher.ended;
      return { ...(frame as GuestFrame), exitCode: code, stderr: launcher.stderr };
    },
  };
}
