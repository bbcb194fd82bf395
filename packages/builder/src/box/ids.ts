import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { BoxUnavailable } from './unavailable.ts';

/** As many as every distribution's packages expect. */
const BOX_IDS = 65536;
/**
 * What root gives to its boxes: 0x76000000, of a range that no distribution, no systemd and no container manager
 * hands out. All boxes of a machine share it: they never see one another.
 */
const ROOT_FIRST_ID = 0x76000000;

/** Ids of the host that a box's ids are. */
export interface BoxIds {
  firstUid: number;
  firstGid: number;
}

/**
 * The ids of the host that a box may have: a fixed range for root, else what `/etc/subuid` and `/etc/subgid` give to
 * the user.
 * @throws BoxUnavailable when they give him too few
 */
export async function boxIds(): Promise<BoxIds> {
  if (process.getuid?.() === 0) return { firstUid: ROOT_FIRST_ID, firstGid: ROOT_FIRST_ID };
  const { username, uid } = userInfo();
  return {
    firstUid: await firstSubId('/etc/subuid', username, uid),
    firstGid: await firstSubId('/etc/subgid', username, uid),
  };
}

async function firstSubId(path: string, username: string, uid: number): Promise<number> {
  // A file that is missing gives nobody anything.
  const text = await readFile(path, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [owner, first, count] = line.split(':');
    if ((owner === username || owner === String(uid)) && Number(count) >= BOX_IDS - 1) return Number(first);
  }
  throw new BoxUnavailable(
    `"${path}" gives user "${username}" too few ids, expected ${BOX_IDS}`,
    `as root: usermod --add-subuids 200000-265535 --add-subgids 200000-265535 ${username}`,
  );
}
