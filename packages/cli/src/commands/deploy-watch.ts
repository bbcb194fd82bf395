import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { deadline, orAborted } from '@vmlet/node/deadline';
import { failureOf } from '../failure.ts';
import { Changes } from '../pack/changes.ts';
import { kindOfPath } from '../pack/walk.ts';
import {
  type Deployment,
  type DeployRequest,
  type DeployTarget,
  type Packed,
  pack,
  publishPacked,
} from '../publish/deploy.ts';
import { cleanLine, formatMs } from '../terminal-text.ts';

/** A burst of changes is over when there was none for so long. */
const QUIET_MS = 50;
/** The longest time that a burst is waited for. */
const LONGEST_BURST_MS = 2000;

/**
 * `vmlet deploy --watch`: deploys, and again whenever something of the folder changes, until it is interrupted. The name
 * stays, and so does the URL; a version that does not start never takes the place of the one before. Errors are told
 * and waited out: the next change may mend them.
 *
 * A burst of changes becomes one deployment, and what changes while files are still being read makes the reading begin
 * anew; what changes later is the next deployment.
 * @throws CliError `WATCH_FAILED`
 */
export async function watchAndDeploy(request: DeployRequest, target: DeployTarget): Promise<void> {
  const { signal } = target;
  const isFile = (await kindOfPath(request.folder)) === 'file';
  using changes = isFile ? new Changes(dirname(request.folder), basename(request.folder)) : new Changes(request.folder);
  const watch = new Watch(request, target);
  while (!signal.aborted) {
    await changes.watch();
    await watch.deploy(changes);
    watch.heed(await firstChange(changes, signal));
    await settled(changes, signal);
  }
}

/** Undefined when the signal aborts first. */
async function firstChange({ changed }: Changes, signal: AbortSignal): Promise<string | undefined> {
  const unlessAborted = (error: unknown) => {
    if (!signal.aborted) throw error;
    return undefined;
  };
  return await orAborted(changed, signal).catch(unlessAborted);
}

/** Waits for the end of a burst of changes: editors write a file in several steps, tools write many. */
async function settled(changes: Changes, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  let path: string | undefined = '';
  // Something that never stops writing does not keep anything from being deployed.
  while (path !== undefined && performance.now() - startedMs < LONGEST_BURST_MS) {
    changes.renew();
    using quiet = deadline(QUIET_MS, signal);
    path = await firstChange(changes, quiet.signal);
  }
}

class Watch {
  readonly #request: DeployRequest;
  readonly #target: DeployTarget;
  #deployed: string | undefined;
  #changedPath: string | undefined;

  constructor(request: DeployRequest, target: DeployTarget) {
    this.#request = request;
    this.#target = target;
  }

  /** Remembers what the next deployment is for. */
  heed(path: string | undefined): void {
    this.#changedPath = path;
  }

  /** Deploys once, and tells of it in one line; the first time, of all that is done. Does nothing if nothing is new. */
  async deploy(changes: Changes): Promise<void> {
    const { output, signal } = this.#target;
    const target = this.#deployed === undefined ? this.#target : { ...this.#target, output: output.quiet() };
    const started = performance.now();
    try {
      const packed = await this.#pack(changes, target);
      const content = packed && contentOf(packed);
      if (packed === undefined || content === this.#deployed) return;
      const deployment = await publishPacked(packed, this.#request, target);
      this.#show(deployment, performance.now() - started);
      this.#deployed = content;
    } catch (error) {
      if (signal.aborted) return;
      output.failure(failureOf(error));
      output.note('Waiting for the next change');
    }
  }

  /** Undefined if something changed meanwhile: what was read may be half of one state and half of another. */
  async #pack(changes: Changes, target: DeployTarget): Promise<Packed | undefined> {
    const stale = new AbortController();
    const abort = () => stale.abort();
    // What went wrong with watching is told where the change is waited for.
    changes.changed.then(abort, abort);
    const signal = AbortSignal.any([target.signal, stale.signal]);
    try {
      const packed = await pack(this.#request, { output: target.output, signal });
      return stale.signal.aborted ? undefined : packed;
    } catch (error) {
      // A file that was just being written may have been unreadable, or no program yet.
      if (stale.signal.aborted) return undefined;
      throw error;
    }
  }

  #show(deployment: Deployment, ms: number): void {
    const { output } = this.#target;
    if (output.isJson) {
      output.json({ ...deployment, ms: Math.round(ms) });
      return;
    }
    if (this.#deployed === undefined) {
      for (const line of [deployment.url, deployment.hostUrl, deployment.itemHash])
        if (line !== null) output.line(line);
      output.note('Watching for changes; Ctrl-C ends it');
      return;
    }
    const { version, url, itemHash } = deployment;
    const what = version === null ? itemHash.slice(0, 12) : `version ${version}`;
    const why = this.#changedPath === undefined ? '' : ` (${cleanLine(this.#changedPath)} has changed)`;
    output.line(`${what} after ${formatMs(ms)}: ${url}${why}`);
  }
}

/** What would be published, as a hash: a file that was only touched makes no new version. */
function contentOf({ prepared: { plan }, files }: Packed): string {
  const hash = createHash('sha256').update(JSON.stringify(plan));
  for (const { path, mode, packed } of files) hash.update(`${path}\0${mode}\0${packed.length}\0`).update(packed);
  return hash.digest('hex');
}
