import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/**/*.test.ts', 'tests/**/*.test.ts', 'bench/**/*.test.ts'],
    setupFiles: ['tests/framework/tear-down.ts'],
    globalSetup: ['tests/framework/setup.ts'],
    // Machines are emulated: two at once is what two cores carry.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 900_000,
  },
});
