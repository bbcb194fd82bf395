/** The launcher from start to end: ready, load, loaded, serve, halt. README.md draws it. */
import type { AddressInfo } from 'net';
import { Connections } from './connections.ts';
import type { Control } from './control.ts';
import { type Entry, findEntry } from './entrypoint.ts';
import { applyVariables, codeFolder, enterCodeFolder } from './environment.ts';
import { codeOf, Failure, stackOf, summaryOf } from './failures.ts';
import { fetchListener } from './fetch-listener.ts';
import type { Frame } from './frames.ts';
import { handlerListener } from './handler.ts';
import { ListenWatch } from './listen-watch.ts';
import { type Interface, type LoadRequest, readLoad } from './load-request.ts';
import { bindFailure, listenOn, makeServer } from './own-server.ts';
import { ownListener } from './prime.ts';
import { type Exports, importProgram } from './program.ts';
import { type Serving, Snapshot } from './snapshot.ts';
import { useWantedNode } from './switch-node.ts';
import { chooseTarget, describe, type Target } from './target.ts';
import { hasWebGlobals, webGlobals } from './web.ts';

type State = 'waiting' | 'importing' | 'starting' | 'serving' | 'ending';

/** What a program that never ran has no say in: it may put others in their place. */
const exit = process.exit.bind(process);

export class Launcher {
  private readonly control: Control;
  private readonly isSwitched: boolean;
  private readonly snapshot: Snapshot;
  private state: State = 'waiting';
  private entrypoint = '';
  private exported = '';
  private port = 0;
  private watch: ListenWatch | undefined;
  /** The launcher's own server, while it has the port. */
  private own: Connections | undefined;
  private imported: Promise<Exports> | undefined;
  private fatal: { error: unknown } | undefined;

  /** `isSwitched`: another version of Node was `ready` in this process, and left it for the one that the program asks for. */
  constructor(control: Control, { isSwitched }: { isSwitched: boolean }) {
    this.control = control;
    this.isSwitched = isSwitched;
    this.snapshot = new Snapshot(control);
  }

  /** Takes a frame of the host; those that are not in turn are ignored. */
  receive(frame: Frame): void {
    if (frame.type === 'halt') this.halt();
    if (frame.type === 'prepare' && this.canFreeze) void this.snapshot.prepare(this.serving);
    if (frame.type === 'resume' && this.canFreeze) void this.snapshot.resume(frame, this.serving);
    if (frame.type === 'load' && this.state === 'waiting') {
      this.load(frame).catch((error: unknown) => this.fail(asFailure(error)));
    }
  }

  private get canFreeze(): boolean {
    return this.state === 'waiting' || this.state === 'serving';
  }

  private get serving(): Serving | undefined {
    if (this.imported === undefined) return undefined;
    const own = this.own?.server.listening === true ? this.own : undefined;
    return { exports: this.imported, port: this.port, own, servers: this.watch?.servers ?? [] };
  }

  private async load(frame: Frame): Promise<void> {
    this.state = 'importing';
    const request = readLoad(frame);
    this.snapshot.prime.hear(frame);
    this.entrypoint = request.entrypoint;
    this.port = request.port;
    // Before anything of the program is known to this process: its variables are applied in the version that it asks for.
    useWantedNode(codeFolder(), this.control, { frame, isSwitched: this.isSwitched });
    this.listenForTheEnd();
    applyVariables(request);
    enterCodeFolder();
    const entry = findEntry(request.entrypoint, codeFolder());
    this.watchListen(request);
    this.imported = importProgram(entry);
    const exports = await this.imported;
    if (this.state !== 'importing') return; // it listens already, or the host wants an end
    this.state = 'starting';
    await this.serve(exports, entry, request);
  }

  private async serve(exports: Exports, entry: Entry, request: LoadRequest): Promise<void> {
    this.exported = describe(exports.main);
    if (this.watch?.isClaimed) return; // a program that has a server of its own often exports its application too
    const target = chooseTarget(exports, entry, request.interface);
    if (target === undefined) this.watchCluster();
    else if (target.interface === 'listen') target.server.listen(request.port);
    else await this.serveFunction(target);
  }

  /** Runs a server of the launcher's own. */
  private async serveFunction(target: Target & { interface: 'fetch' | 'handler' }): Promise<void> {
    const isFetch = target.interface === 'fetch';
    if (isFetch && !hasWebGlobals()) {
      const found = `Node ${process.versions.node} has no Request and Response`;
      const expected = 'expected Node 18 or later, or a function (request, response)';
      throw new Failure('FETCH_UNSUPPORTED', `Cannot serve "${this.entrypoint}": ${found}, ${expected}`);
    }
    const listener = isFetch ? fetchListener(target.fetch, webGlobals()) : handlerListener(target.handler);
    const own = ownListener(isFetch ? webGlobals() : undefined);
    const server = makeServer(this.snapshot.prime.guard(listener, own));
    this.own = new Connections(server);
    await listenOn(server, this.port, { listen: this.watch?.listen ?? server.listen });
    this.loaded((server.address() as AddressInfo).port, target.interface);
  }

  private watchListen({ port }: LoadRequest): void {
    this.watch = new ListenWatch({
      port,
      // Some export their application and listen later, once a database is there: the port is theirs, then.
      onClaim: () => this.own?.server.close(),
      onListening: (bound) => this.loaded(bound, 'listen'),
    });
  }

  /** Workers of a cluster listen in processes of their own; the port is bound in this one, out of the watch's sight. */
  private watchCluster(): void {
    const cluster = require('cluster') as NodeJS.EventEmitter;
    cluster.on('listening', (_worker: unknown, address: AddressInfo) => {
      if (address.port === this.port) this.loaded(address.port, 'listen');
    });
  }

  private loaded(port: number, kind: Interface): void {
    if (this.state !== 'importing' && this.state !== 'starting') return;
    this.state = 'serving';
    this.port = port;
    this.control.send({ type: 'loaded', port, interface: kind, server: `node ${process.versions.node}` });
    process.removeListener('exit', this.onExit);
    process.removeListener('beforeExit', this.onBeforeExit);
    process.removeListener('uncaughtExceptionMonitor', this.onFatal);
  }

  /** Stops accepting and lets running requests end; then the program is told. A second `halt` changes nothing. */
  private halt(): void {
    if (this.state === 'ending') return;
    const isServing = this.state === 'serving';
    this.state = 'ending';
    if (isServing && this.own !== undefined) this.own.close(() => this.terminate(isServing));
    else this.terminate(isServing);
  }

  /**
   * A program that listens for SIGTERM gets it, and ends itself and its own server as it is used to. Any other ends when
   * the last request that its own server has is answered.
   */
  private terminate(isServing: boolean): void {
    const servers = isServing ? (this.watch?.servers ?? []) : [];
    if (process.listenerCount('SIGTERM') > 0) {
      process.emit('SIGTERM', 'SIGTERM');
      for (const connections of servers) connections.drain();
      return;
    }
    let open = servers.length;
    const closed = (): void => {
      open -= 1;
      if (open <= 0) exit(0);
    };
    if (open === 0) closed();
    for (const connections of servers) connections.close(closed);
  }

  /** Until it is loaded, the end of the program is the host's business, however it comes. */
  private listenForTheEnd(): void {
    this.control.unref();
    process.once('exit', this.onExit);
    process.once('beforeExit', this.onBeforeExit);
    process.once('uncaughtExceptionMonitor', this.onFatal);
  }

  private readonly onFatal = (error: unknown): void => {
    this.fatal = { error };
  };

  /** Nothing is left that could ever call the program back. */
  private readonly onBeforeExit = (): void => {
    if (this.state === 'importing') {
      const state = 'its top-level await never ends, expected a module that loads';
      this.fail(new Failure('IMPORT_FAILED', `Cannot load "${this.entrypoint}": ${state}`));
    } else if (this.state === 'starting') {
      const state = `it exports ${this.exported} and nothing listens, expected a function, an object with "fetch"`;
      const expected = `or a server on port ${this.port} ($PORT)`;
      this.fail(new Failure('NOTHING_LISTENS', `Cannot serve "${this.entrypoint}": ${state}, ${expected}`));
    }
  };

  private readonly onExit = (exitCode: number): void => {
    if (this.state !== 'importing' && this.state !== 'starting') return;
    this.state = 'ending';
    this.report(this.exitFailure(exitCode));
  };

  private exitFailure(exitCode: number): Failure {
    const message = `Cannot load "${this.entrypoint}"`;
    if (this.fatal === undefined) {
      const state = `the program ended itself with exit code ${exitCode}, expected it to serve`;
      return new Failure('PROGRAM_EXITED', `${message}: ${state}`);
    }
    const { error } = this.fatal;
    if (error instanceof Error && codeOf(error) === 'EADDRINUSE') return bindFailure(this.port, error);
    const state = `${summaryOf(error)}, which nothing caught, expected it to serve`;
    return new Failure('PROGRAM_EXITED', `${message}: ${state}`, { detail: stackOf(error) });
  }

  /** Tells host and log of a failure, and ends. */
  private fail(failure: Failure): void {
    if (this.state === 'ending') return;
    const isServing = this.state === 'serving';
    this.state = 'ending';
    if (failure.detail) process.stderr.write(`${failure.detail}\n`);
    // The rest of a module that listens already: to the host it is a program that crashed.
    if (!isServing) this.report(failure);
    exit(1);
  }

  private report(failure: Failure): void {
    process.stderr.write(`vmlet: ${failure.code}: ${failure.message}\n`);
    this.control.send(failure.frame());
  }
}

/** What is no Failure is a fault of the launcher: the host must not wait for it. */
function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const detail = error instanceof Error ? String(error.stack) : '';
  return new Failure('LAUNCHER_FAILED', `Cannot go on: ${summaryOf(error)}, expected no failure`, { detail });
}
