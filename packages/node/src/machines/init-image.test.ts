import { expect, test } from 'vitest';
import { bootMachine, type MachineSpec } from './boot.ts';
import { backend, READY, type Scenario, spec, standInForQemu } from './testing.ts';

const imageSpec: MachineSpec = { ...spec, init: 'image' };

/** Boots the stand-in as a machine whose image brings its own init. Gives what it was told and how it ended. */
async function boot(scenario: Scenario, of: MachineSpec = imageSpec, deadlineMs = 20_000) {
  await using _qemu = await standInForQemu(scenario);
  const texts: string[] = [];
  const machine = await bootMachine(backend, of, {
    deadlineMs,
    events: { onLog: ({ text }) => texts.push(text) },
    signal: new AbortController().signal,
  });
  await expect.poll(() => texts.length).toBe(1);
  machine.kill();
  await machine.ended;
  return texts[0] ?? '';
}

const TELL = `${READY} send({ type: 'log', stream: 'stdout', timeUs: 1, text: args.join(' ') }); await hang();`;

test('init of an image: has no drive of the kit, and the kernel is told', async () => {
  const own = await boot(TELL);
  const drives = (args: string) => [...args.matchAll(/"filename":"(.*?)"/g)].map((match) => match[1]);
  expect(drives(own)).toEqual([imageSpec.runtimeImage, imageSpec.codeImage]);
  expect(own).toContain('vmlet_init=image');
  const kit = await boot(TELL, spec);
  expect(drives(kit)).toEqual([spec.runtimeImage, backend.kit.image, spec.codeImage]);
  expect(kit).not.toContain('vmlet_init');
});

test.each([0, 2, 65_535])('init of an image: that speaks protocol %i is refused in words', async (protocol) => {
  const hello = `send({ type: 'hello', protocol: ${protocol}, version: '9.9\\u001b', kernel: '6.1', uptimeUs: 1 }); await hang();`;
  await expect(boot(hello)).rejects.toMatchObject({
    code: 'INIT_PROTOCOL_UNSUPPORTED',
    message: `Cannot talk to the init of the runtime: version "9.9" speaks protocol ${protocol}, expected 1`,
    entry: { hint: expect.stringContaining('vmlet runtime init-files') },
  });
});

test('init of an image: that is another than init0 says nothing, and the owner is told what belongs there', async () => {
  const silent = `say('Welcome to systemd\\n'); await hang();`;
  await expect(boot(silent, imageSpec, 3000)).rejects.toMatchObject({
    code: 'MACHINE_BOOT_TIMEOUT',
    detail: expect.stringMatching(/^The image has to have .*: vmlet runtime init-files\nconsole:\nWelcome to systemd/),
  });
  await expect(boot(silent, spec, 3000)).rejects.toMatchObject({ detail: 'console:\nWelcome to systemd' });
});
