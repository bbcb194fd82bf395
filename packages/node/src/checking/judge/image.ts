import type { Check } from '../../telemetry/index.ts';
import { type CheckGroup, type Evidence, filesOf, mib, shown, some } from './finding.ts';

const LARGEST = 10;
const REPORT = 'Report it: the kernel of the machine did not tell';

/** What the image is: its filesystem, how large it is and what makes it so. */
export function judgeImage(evidence: Evidence): CheckGroup {
  const checks = [filesystem(evidence), size(evidence), largest(evidence), ...oddities(evidence)];
  return { title: 'Image', checks };
}

function filesystem({ survey }: Evidence): Check {
  const found = survey.one('filesystem');
  const title = 'Filesystem';
  if (found === undefined) return { code: 'FILESYSTEM', title, status: 'error', text: 'not known', fix: REPORT };
  const free = found.blocks > 0 ? Math.round((100 * found.freeBlocks) / found.blocks) : 0;
  const text = `${found.type}${free > 0 ? `, ${free} % of it free` : ''}`;
  return { code: 'FILESYSTEM', title, status: 'ok', text };
}

function size({ sizeBytes, survey }: Evidence): Check {
  const tree = survey.one('tree');
  const title = 'Size';
  const text = `${mib(sizeBytes)}, with ${tree?.files ?? 0} files of ${mib(tree?.bytes ?? 0)}`;
  if (tree === undefined || (tree.unreadable === 0 && tree.tooDeep === 0)) {
    return { code: 'SIZE', title, status: 'ok', text };
  }
  const lost = `${tree.unreadable} cannot be read and ${tree.tooDeep} are too deep`;
  const fix = 'Make the image anew: its filesystem is damaged, or holds folders that no program makes';
  return { code: 'SIZE', title, status: 'error', text: `${text}; ${lost}`, fix };
}

function largest({ facts }: Evidence): Check {
  const sorted = facts.packages.toSorted((a, b) => b.bytes - a.bytes).slice(0, LARGEST);
  const list = sorted.map(({ name, bytes }) => `${name} ${mib(bytes)}`).join(', ');
  const text =
    sorted.length === 0 ? 'no package manager has a list here' : `${facts.packages.length}, the largest: ${list}`;
  return { code: 'PACKAGES', title: 'Packages', status: 'ok', text };
}

function oddities({ survey }: Evidence): Check[] {
  const large = filesOf(survey, 'large');
  const odd = filesOf(survey, 'odd-name');
  const devices = filesOf(survey, 'device').named.filter(({ path }) => !path.startsWith('dev/'));
  const checks: Check[] = [];
  if (large.count > 0) {
    const list = large.named.map(({ path, bytes }) => `${shown(path)} (${mib(bytes)})`);
    const text = some(list, large.count);
    const fix = 'Leave out what programs do not need: every node that runs one fetches all of it';
    checks.push({ code: 'LARGE_FILES', title: 'Large files', status: 'warning', text, fix });
  }
  if (odd.count > 0) {
    const text = some(
      odd.named.map(({ path }) => shown(path)),
      odd.count,
    );
    const fix = 'Rename them: control characters in names mislead who lists them, and scripts';
    checks.push({ code: 'ODD_NAMES', title: 'Names', status: 'warning', text, fix });
  }
  if (devices.length > 0) {
    const text = some(devices.map(({ path }) => shown(path)));
    const fix = 'Remove them: /dev is made by the machine, and elsewhere they open devices to whoever may read them';
    checks.push({ code: 'DEVICES', title: 'Devices', status: 'warning', text, fix });
  }
  return checks;
}
