import { describe, expect, test } from 'vitest';
import { nameOfFolder } from './name.ts';

describe('nameOfFolder', () => {
  test.each([
    ['/srv/hello', 'hello'],
    ['/srv/My App_2', 'my-app-2'],
    ['/srv/.hidden.d', 'hidden-d'],
    ['/srv/Caf\u00e9 Cr\u00e8me', 'cafe-creme'],
    ['/srv/--x--', 'x'],
    ['/srv/\u65e5\u672c', 'program'],
    ['/', 'program'],
    [`/srv/${'ab-'.repeat(40)}`, `${'ab-'.repeat(20)}ab`],
  ])('nameOfFolder: makes a DNS label of %s', (path, name) => {
    expect(nameOfFolder(path)).toBe(name);
    expect(name).toMatch(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
  });
});
