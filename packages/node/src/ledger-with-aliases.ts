import type { ItemHash } from '@vmlet/messages';
import { RuntimeAliases, RuntimeCatalogue } from './catalogue/index.ts';
import { openLedger } from './ledger/index.ts';

/** The ledger, what is published in it, and what its operator has stand in for runtimes that are not here. */
export async function openLedgerWithAliases(
  { operator, ...components }: Parameters<typeof openLedger>[0] & { operator: string },
  stack: AsyncDisposableStack,
) {
  let aliases: RuntimeAliases | undefined;
  const standIn = (ref: string) => aliases?.of(ref) !== undefined;
  const ledger = stack.use(await openLedger({ ...components, standIn }));
  const onChange = (ref: string, options: { by: ItemHash }) => {
    ledger.standInChanged(ref, options).catch(components.onListenerError);
  };
  aliases = stack.use(new RuntimeAliases({ ledger, operator, onChange }));
  // One may have been signed just before its node ended.
  for (const { hash } of aliases.all()) await ledger.standInChanged(hash, { by: hash });
  return { ledger, aliases, catalogue: new RuntimeCatalogue({ ledger, database: components.database }) };
}
