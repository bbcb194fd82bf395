import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Launcher } from './harness.ts';
import { onEachNode } from './suite.ts';

/** Tells what each generator gives next, by the name in the path. All were taken when the module was loaded. */
const DRAWS = `
  import * as crypto from 'crypto';
  import { randomInt, randomUUID } from 'crypto';
  const web = globalThis.crypto || crypto.webcrypto;
  const { random } = Math;
  const { randomFillSync } = crypto.default;
  let fills = 0;
  crypto.default.randomFillSync = (...values) => { fills += 1; return randomFillSync(...values); };
  const draws = {
    math: () => Array.from({ length: 4 }, random),
    uuid: () => randomUUID(),
    int: () => randomInt(2 ** 40),
    web: () => (web && web.randomUUID ? web.randomUUID() : randomUUID()),
    bytes: () => crypto.randomBytes(16).toString('hex'),
    fills: () => fills,
  };
  export default (req, res) => res.end(JSON.stringify(draws[req.url.slice(1)]()));`;

/** Loaded first: as if the kernel's generator gave what a file of the program's holds. */
const KERNEL = `
  const fs = require('fs');
  const { openSync } = fs;
  fs.openSync = (path, ...rest) => openSync(path === '/dev/urandom' ? 'entropy' : path, ...rest);`;

await onEachNode('randomness', ({ serve, file }) => {
  const draw = async (launcher: Launcher, name: string): Promise<unknown> =>
    JSON.parse((await launcher.get(`/${name}`)).text);

  /** Two programs that wake up with the same entropy, and one with another, after each has drawn by itself. */
  async function woken(): Promise<Launcher[]> {
    const files = { 'app.mjs': `import './kernel.cjs';\n${DRAWS}`, 'kernel.cjs': KERNEL, entropy: '' };
    return await Promise.all(
      [1, 1, 2].map(async (byte) => {
        const launcher = await serve(files);
        await writeFile(join(launcher.code, 'entropy'), Buffer.alloc(64, byte));
        await draw(launcher, 'math');
        expect(await launcher.prepare()).toEqual({ type: 'prepared' });
        expect(await launcher.resume()).toEqual({ type: 'resumed' });
        return launcher;
      }),
    );
  }

  test('Math.random: goes on from what the kernel gave at the wake, and from nothing else', async () => {
    const drawn = await Promise.all((await woken()).map((launcher) => draw(launcher, 'math')));
    expect(drawn[0]).toEqual(drawn[1]);
    expect(drawn[0]).not.toEqual(drawn[2]);
  });

  test('what is drawn ahead for UUIDs and integers: is thrown away at the wake', async () => {
    for (const name of ['uuid', 'int', 'web']) {
      const launcher = await serve({ 'app.mjs': DRAWS });
      const values = [await draw(launcher, name)];
      const fills = await draw(launcher, 'fills');
      values.push(await draw(launcher, name));
      // From what was drawn ahead for the first.
      expect(await draw(launcher, 'fills')).toBe(fills);
      await launcher.prepare();
      await launcher.resume();
      values.push(await draw(launcher, name));
      expect(await draw(launcher, 'fills')).toBe(Number(fills) + 1);
      expect(new Set(values).size).toBe(3);
    }
  });

  test('OpenSSL: is given entropy at the wake, by an addon that this version loads', async () => {
    const text = `const { join } = require('path');
      const reseed = require(join(process.env.LAUNCHER, 'reseed.node'));
      module.exports = (req, res) => res.end(String([reseed(Buffer.alloc(48, 1)), reseed(Buffer.alloc(0)), reseed()]));`;
    const launcher = await serve({ 'app.js': text }, { variables: { LAUNCHER: dirname(file) } });
    expect((await launcher.get('/')).text).toBe('1,0,0');
  });

  test('the replacements: are used as Node’s own are, wrong use included', async () => {
    const text = `const crypto = require('crypto');
      const { randomInt, randomUUID, webcrypto = {} } = crypto;
      const refusal = (use) => { try { return use() } catch (error) { return error.code || error.name; } };
      const later = (...range) => new Promise((resolve) => { let isSync = true;
        randomInt(...range, (error, value) => resolve([error, value, isSync])); isSync = false; });
      const values = Array.from({ length: 20000 }, Math.random);
      const rolls = Array.from({ length: 3000 }, () => randomInt(1, 7));
      const web = 'randomUUID' in webcrypto ? webcrypto : { randomUUID };
      module.exports = async (req, res) => res.end(JSON.stringify({
        range: values.every((value) => value >= 0 && value < 1),
        mean: Math.round(10 * values.reduce((sum, value) => sum + value) / values.length),
        fine: values.filter((value) => value * 2 ** 53 % 2 === 1).length > 9000,
        names: [Math.random, randomInt, randomUUID].map((each) => each.name + each.length),
        rolls: [...new Set(rolls)].sort(),
        one: [randomInt(1), randomInt(-5, -4), randomInt(2 ** 47, 2 ** 47 + 1)],
        later: [await later(1), await later(3, 4)],
        refused: [[], [0], [1, 1], [0.5], [0, 2 ** 48], ['1']].map((range) => refusal(() => randomInt(...range))),
        badCallback: refusal(() => randomInt(0, 1, 'x')),
        uuids: [randomUUID(), randomUUID({}), randomUUID({ disableEntropyCache: false }),
          randomUUID({ disableEntropyCache: true }), web.randomUUID()].map((uuid) =>
            /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid)),
        badOptions: [null, 1, { disableEntropyCache: 1 }].map((options) => refusal(() => randomUUID(options))),
        badThis: web === webcrypto ? refusal(() => web.randomUUID.call({})) : 'ERR_INVALID_THIS',
        visible: [Object.keys(Math), Object.keys(crypto).includes('randomUUID')],
      }));`;
    const launcher = await serve({ 'app.js': text });
    expect(JSON.parse((await launcher.get('/')).text)).toEqual({
      range: true,
      mean: 5,
      fine: true,
      names: ['random0', 'randomInt3', 'randomUUID1'],
      rolls: [1, 2, 3, 4, 5, 6],
      one: [0, -5, 2 ** 47],
      later: [
        [null, 0, false],
        [null, 3, false],
      ],
      refused: [...Array(6)].map(() => expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/)),
      badCallback: expect.stringMatching(/^ERR_INVALID_(ARG_TYPE|CALLBACK)$/),
      uuids: [true, true, true, true, true],
      badOptions: ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_TYPE'],
      badThis: expect.stringMatching(/^ERR_INVALID_THIS$|TypeError/),
      visible: [[], true],
    });
  });
});
