/** Functions that a program exports to be told of its snapshot. */
import { Failure, type Phase, stackOf, summaryOf } from './failures.ts';
import type { Exports } from './program.ts';

/** Each hook, and the phase that its failure belongs to. */
const PHASES = { beforeSnapshot: 'snapshot', afterRestore: 'resume' } as const;

/**
 * Calls the program's hook, if it exports one, and waits for what it returns. It is an export of the module, or a method
 * of the default export, beside `fetch`.
 * @throws Failure HOOK_FAILED
 */
export async function callHook(name: keyof typeof PHASES, { main, named }: Exports): Promise<void> {
  const phase: Phase = PHASES[name];
  try {
    for (const owner of [named, Object(main)] as Array<Record<string, unknown>>) {
      const hook = owner[name];
      if (typeof hook !== 'function') continue;
      await Reflect.apply(hook, owner, []);
      return;
    }
  } catch (error) {
    const message = `Cannot call "${name}": ${summaryOf(error)}, expected it to return`;
    throw new Failure('HOOK_FAILED', message, { detail: stackOf(error), phase });
  }
}
