import type { ItemHash } from '@vmlet/messages';
import { VmletError } from './errors.ts';
import { GuestApi, type Identities, ProgramCache } from './guest-api/index.ts';
import type { Ledger } from './ledger/index.ts';
import type { openHome } from './store/index.ts';
import type { Logger } from './telemetry/index.ts';

interface Making {
  stack: AsyncDisposableStack;
  log: Logger;
  home: Pick<Awaited<ReturnType<typeof openHome>>, 'paths'>;
  ledger: Pick<Ledger, 'program' | 'subscribe'>;
  identities: Identities;
}

/** What programs call, with what they keep; of a program that is removed both key and cache go. */
export function openGuestApi({ stack, log, home, ledger, identities }: Making): GuestApi {
  const cache = stack.use(new ProgramCache({ path: home.paths.programCache }));
  stack.defer(
    ledger.subscribe((event) => {
      if (event.type !== 'forgotten' || event.message.type !== 'PROGRAM') return;
      const { itemHash } = event.message;
      cache.forget(itemHash);
      identities.forget(itemHash).catch((err: unknown) => log.error({ err, itemHash }, 'a key was not removed'));
    }),
  );
  const ownerOf = (itemHash: ItemHash) => {
    const program = ledger.program(itemHash);
    if (!program) throw new VmletError('PROGRAM_NOT_FOUND', { operands: { ref: itemHash } });
    return program.content.address;
  };
  const onFailure = (failure: object) => log.error(failure, 'a call of a program failed');
  return new GuestApi({ identities, cache, ownerOf, onFailure });
}
