import { randomUUID } from 'node:crypto';
import { VmletError } from './errors.ts';

/**
 * Every step at which a test may stop a node, in the order that the first request to a new program meets them. Tests
 * in tests/faults kill node, machine and program at each.
 */
export const FAILPOINTS = [
  { name: 'content.written', what: 'a file is on disk under its temporary name' },
  { name: 'content.committed', what: 'it has its final name, and nobody has been told' },
  { name: 'message.checked', what: 'a message is known to be right, and is not in the database' },
  { name: 'message.recorded', what: 'it is in the database, and its sender has not been told' },
  { name: 'memory.reserved', what: 'memory is set aside for the machine' },
  { name: 'program.resolved', what: 'runtime and code of the program are known' },
  { name: 'runtime.verified', what: 'their files are verified' },
  { name: 'code.written', what: 'the code image is made, under its temporary name' },
  { name: 'code.renamed', what: 'it has its final name' },
  { name: 'cage.made', what: 'the machine has its user and its cgroup, and no process' },
  { name: 'machine.spawned', what: 'QEMU runs' },
  { name: 'machine.booted', what: 'init0 has said hello' },
  { name: 'machine.configured', what: 'it has been told who it is' },
  { name: 'machine.ready', what: 'the launcher is up' },
  { name: 'load.sent', what: 'the launcher has been told to load the program' },
  { name: 'machine.loaded', what: 'the program listens' },
  { name: 'request.sent', what: 'the request is handed to a connection, or waits for one' },
  { name: 'connection.opened', what: 'a stream to the program is open, and nothing has been sent on it' },
  { name: 'response.started', what: 'the head of the answer is here, and its body is passed on' },
  { name: 'response.ended', what: 'the whole answer has been passed on' },
  { name: 'trigger.matched', what: 'programs are known that a message is for, and nothing of it is in the database' },
  { name: 'trigger.recorded', what: 'it is in the database, and nothing has been sent' },
  { name: 'trigger.sent', what: 'the message is handed to a connection, or waits for one' },
  { name: 'trigger.answered', what: 'the program has taken it, and the database does not know' },
  { name: 'machine.halting', what: 'the machine is about to be told to end' },
  { name: 'snapshot.begun', what: 'there is a folder for a snapshot, and nothing in it' },
  { name: 'snapshot.prepared', what: 'the launcher of the machine that is saved knows of it' },
  { name: 'snapshot.frozen', what: 'nothing of its program runs any more' },
  { name: 'snapshot.captured', what: 'memory and state are in their files, and the machine is gone' },
  { name: 'snapshot.sealed', what: 'the files are hashed, and the snapshot has no name yet' },
  { name: 'snapshot.placed', what: 'it has its name' },
  { name: 'restore.spawned', what: 'a QEMU has the files of a snapshot' },
  { name: 'restore.memory', what: 'its memory and devices are there' },
  { name: 'restore.resumed', what: 'its launcher has said that it goes on' },
  { name: 'content.collecting', what: 'a file that nothing holds is about to be removed' },
  { name: 'content.collected', what: 'it is gone, and the record of its CID is not' },
] as const;

/** The name of a step of {@link FAILPOINTS}. */
export type Failpoint = (typeof FAILPOINTS)[number]['name'];

/** Arms all of them in place of a name. */
const ALL = 'all';
/** `pause` says that the step is reached and waits to be released or killed; `exit9` is kill -9 of the node by itself. */
const ACTIONS = ['pause', 'exit9'];

/** What the environment asked for when this process started: nothing arms a failpoint later. */
const armed = new Map(
  (process.env.VMLET_FAILPOINT ?? '').split(',').flatMap((text): [string, string][] => {
    const [name = '', action = ''] = text.split('=');
    return text === '' ? [] : [[name, action]];
  }),
);

/**
 * A step of a node's work that a test may stop at. Awaited, it does nothing unless `VMLET_FAILPOINT` named it when
 * the process started.
 */
export function failpoint(name: Failpoint): Promise<void> | undefined {
  if (armed.size === 0) return undefined;
  const action = armed.get(name) ?? armed.get(ALL);
  if (action === 'exit9') process.kill(process.pid, 'SIGKILL');
  return action === 'pause' ? pause(name) : undefined;
}

/**
 * What is armed, for the log: `name=action` of each.
 * @throws VmletError `FAILPOINT_UNKNOWN`
 */
export function armedFailpoints(): string[] {
  const known = [...FAILPOINTS.map(({ name }) => String(name)), ALL];
  for (const [name, action] of armed) {
    const isKnown = known.includes(name) && ACTIONS.includes(action);
    if (!isKnown) throw new VmletError('FAILPOINT_UNKNOWN', { operands: { found: `${name}=${action}` } });
  }
  return [...armed].map(([name, action]) => `${name}=${action}`);
}

/** Tells the process that started this one `{ failpoint, id }`, and waits for its word `{ release: id }`. */
function pause(name: Failpoint): Promise<void> {
  // Several requests may be at one step, and each is let go by itself.
  const id = randomUUID();
  const { promise, resolve } = Promise.withResolvers<void>();
  const onMessage = (message: unknown) => {
    if (typeof message !== 'object' || message === null || !('release' in message) || message.release !== id) return;
    process.off('message', onMessage);
    resolve();
  };
  // While it listens the channel keeps this process alive, and no longer: a node that starts has nothing else yet.
  process.on('message', onMessage);
  if (process.send) process.send({ failpoint: name, id });
  else process.stderr.write(`failpoint ${name}: paused\n`);
  return promise;
}
