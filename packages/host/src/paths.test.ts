import { expect, test } from 'vitest';
import { resolvePaths } from './paths.ts';

test('resolvePaths: follows the XDG defaults below the home folder', () => {
  expect(resolvePaths({ HOME: '/h' })).toEqual({
    home: '/h/.local/state/vmlet',
    cache: '/h/.cache/vmlet',
    config: '/h/.config/vmlet',
  });
});

test('resolvePaths: takes XDG’s folders, and vmlet’s own before them; empty ones count as unset', () => {
  const env = {
    HOME: '/h',
    XDG_STATE_HOME: '/s',
    XDG_CACHE_HOME: '/c',
    XDG_CONFIG_HOME: '/g',
    VMLET_HOME: '',
    VMLET_CACHE: '/v',
  };
  expect(resolvePaths(env)).toEqual({ home: '/s/vmlet', cache: '/v', config: '/g/vmlet' });
  expect(resolvePaths({ HOME: '/h', XDG_STATE_HOME: '' }).home).toBe('/h/.local/state/vmlet');
});
