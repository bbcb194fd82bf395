import { BlockList, capsFor, createAdmission, MessageMeter } from './admission/index.ts';
import { openFileStore } from './content/index.ts';
import { Names, Stops } from './deployments/index.ts';
import { DiskSpace } from './disk-space.ts';
import { Identities } from './guest-api/index.ts';
import { loadOrCreateKey } from './keys/index.ts';
import type { LedgerEvent } from './ledger/index.ts';
import { openLedgerWithAliases } from './ledger-with-aliases.ts';
import type { NodeOptions } from './node-options.ts';
import { FilePins } from './pins/index.ts';
import { admitPrograms } from './program-delegates.ts';
import { createPublishPolicy } from './publish-policy.ts';
import { openDatabase, openHome } from './store/index.ts';
import type { Logger } from './telemetry/index.ts';

/** What whoever makes parts is given. */
export interface Making {
  /** Undoes what was made, the last first. */
  stack: AsyncDisposableStack;
  log: Logger;
}

/** What `openNetwork` made. */
export type Network = Awaited<ReturnType<typeof openNetwork>>;

/** Whether a message that was in force is so no longer. */
export function isGone(event: LedgerEvent): event is Extract<LedgerEvent, { type: 'forgotten' | 'removed' }> {
  return event.type === 'forgotten' || event.type === 'removed';
}

/** Home, content, messages, and who may use them. */
export async function openNetwork(options: NodeOptions, { stack, log }: Making) {
  const home = stack.use(await openHome(options.home));
  const database = stack.adopt(openDatabase(home.paths.database), (opened) => {
    opened.close();
  });
  const disk = new DiskSpace(home.dir, { minFreeBytes: options.minFreeDiskBytes });
  const content = await openFileStore(home.paths.content, { disk });
  await content.sweepTemporary();
  const onListenerError = (err: unknown) => log.error({ err }, 'a ledger listener failed');
  const pins = new FilePins(database);
  const operator = (await loadOrCreateKey(options.config)).signer.address;
  const opened = await openLedgerWithAliases({ database, content, onListenerError, operator }, stack);
  const { ledger } = opened;
  const identities = new Identities({ database, dir: home.paths.programKeys });
  const addresses = createAdmission({ operatorAddress: operator, allow: options.allow });
  const admission = admitPrograms(addresses, { identities, ledger });
  const blocks = await BlockList.open({ path: options.blockList ?? home.paths.blockList });
  const capsOf = capsFor(operator, options.ownerCaps);
  const policy = createPublishPolicy({
    ...{ ledger, content, blocks, capsOf, identities, paths: home.paths },
    meter: new MessageMeter({ capsOf }),
  });
  const names = new Names(database);
  const stops = new Stops(database);
  stack.defer(
    ledger.subscribe((event) => {
      if (!isGone(event) || event.message.type !== 'PROGRAM') return;
      names.forget(event.message.itemHash);
      stops.forget(event.message.itemHash);
    }),
  );
  const rules = { operator, admission, blocks, capsOf, policy };
  return { home, database, disk, content, pins, ...opened, ...rules, names, stops, identities };
}
