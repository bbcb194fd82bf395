import { expect, test } from 'vitest';
import { onEachNode } from './suite.ts';

/** Tells whether V8 compiles a function that is called over and over, within one turn of the event loop. */
const COMPILES = `
  const v8 = require('v8');
  v8.setFlagsFromString('--allow-natives-syntax');
  const statusOf = new Function('tried', 'return %GetOptimizationStatus(tried)');
  /** Of V8's runtime.h: compiled by the last compiler, or by the one before it. */
  const OPTIMIZED = (1 << 4) | (1 << 5);
  module.exports = (req, res) => {
    const tried = new Function('n', 'let sum = 0; for (let i = 0; i < n; i++) sum += i % 7; return sum;');
    const until = Date.now() + Number(req.url.slice(1));
    let isCompiled = false;
    while (!isCompiled && Date.now() < until) {
      tried(1000);
      isCompiled = (statusOf(tried) & OPTIMIZED) !== 0;
    }
    res.end(String(isCompiled));
  };`;

await onEachNode('compilers', ({ serve }) => {
  test('a clone that computes in its first request: has its code compiled all the same, before that ends', async () => {
    const launcher = await serve({ 'app.js': COMPILES });
    expect(await launcher.prepare()).toEqual({ type: 'prepared' });
    expect(await launcher.resume()).toEqual({ type: 'resumed' });
    expect((await launcher.get('/60000')).text).toBe('true');
  });

  test('one that is frozen again before they were let go on: is frozen, and has them after its next wake', async () => {
    const launcher = await serve({ 'app.js': COMPILES });
    for (let round = 0; round < 2; round += 1) {
      expect(await launcher.prepare()).toEqual({ type: 'prepared' });
      expect(await launcher.resume()).toEqual({ type: 'resumed' });
    }
    expect((await launcher.get('/60000')).text).toBe('true');
  });

  test('who chose for themselves: has what they chose, frozen or not', async () => {
    const launcher = await serve({ 'app.js': COMPILES }, { variables: { NODE_OPTIONS: '--opt' } });
    expect(await launcher.prepare()).toEqual({ type: 'prepared' });
    expect((await launcher.get('/60000')).text).toBe('true');
  });
});
