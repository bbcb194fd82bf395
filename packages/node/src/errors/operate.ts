import { entry } from './entry.ts';

/** Errors of operating a node: backing up its home, making one of a backup, and stopping. */
export const operateErrors = {
  BACKUP_TARGET_TAKEN: entry({
    phase: 'config',
    status: 409,
    title: 'Something has that name',
    template: "Cannot write the backup '{target}': {found}, expected a new name outside of the home",
    hint: 'Name another file or folder: a backup never takes the place of another',
    fault: 'operator',
    retryable: false,
  }),
  RESTORE_TARGET_TAKEN: entry({
    phase: 'config',
    status: 409,
    title: 'The home is not empty',
    template: "Cannot restore to '{home}': something is in it, expected no such folder, or an empty one",
    hint: 'Name another home with --home; what is there is never overwritten',
    fault: 'operator',
    retryable: false,
  }),
  BACKUP_SOURCE_UNFIT: entry({
    phase: 'config',
    status: 404,
    title: 'No home and no backup',
    template: "Cannot read '{path}': {found}, expected {expected}",
    hint: 'Name the home with --home or VMLET_HOME, and the backup as `vmlet backup` was told to write it',
    fault: 'operator',
    retryable: false,
  }),
  BACKUP_DAMAGED: entry({
    phase: 'config',
    status: 422,
    title: 'Damaged backup',
    template: "Cannot restore '{path}': {found}, expected {expected}",
    hint: 'Use another backup; nothing was restored, and the home was not touched',
    fault: 'operator',
    retryable: false,
  }),
  NODE_DRAINING: entry({
    phase: 'config',
    status: 503,
    title: 'The node is stopping',
    template: 'Cannot take more requests: the node was told to stop, expected a running one',
    hint: 'Send requests to another node, or try again when it runs',
    fault: 'operator',
    retryable: true,
  }),
};
