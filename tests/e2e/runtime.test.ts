import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { officialRuntime } from '../framework/runtime.ts';

/** Looks around in its own root filesystem. */
const INSPECTOR = `
import importlib.util, json, os, shutil, struct, sys

def stale():
    found, wrong = 0, []
    for top in ("/usr/lib/python3.11", "/usr/lib/python3/dist-packages"):
        for folder, names, files in os.walk(top):
            if "__pycache__" in folder or "/test" in folder:
                continue
            for name in files:
                if not name.endswith(".py"):
                    continue
                source = os.path.join(folder, name)
                try:
                    with open(importlib.util.cache_from_source(source), "rb") as file:
                        _, flags, mtime, size = struct.unpack("<4sIII", file.read(16))
                except FileNotFoundError:
                    continue
                found += 1
                stat = os.stat(source)
                if flags != 0 or (int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF) != (mtime, size):
                    wrong.append(source)
    return {"compiled": found, "stale": wrong[:5]}

def look():
    import fastapi, flask, httptools, uvicorn, uvloop
    release = os.uname().release
    return {
        "python": sys.version.split()[0],
        "os": open("/etc/os-release").read(),
        "unwanted": [name for name in ("sshd", "gcc", "cc", "make", "man") if shutil.which(name)],
        "docs": os.listdir("/usr/share/man") if os.path.isdir("/usr/share/man") else [],
        "writable": os.access("/usr", os.W_OK) and not os.access("/rom/usr/new", os.F_OK),
        "modules": os.path.exists(f"/lib/modules/{release}/modules.dep"),
        "root": [line.split()[2] for line in open("/proc/mounts") if line.split()[1] == "/"][0],
        "pid1": open("/proc/1/comm").read().strip(),
        "asserts": __debug__,
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1048576,
        "cpus": os.cpu_count(),
        **stale(),
    }

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(look()).encode()})
`;

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(async () => node[Symbol.asyncDispose]());

test('runtime: debian-12-python is what its recipe says, in at most 90 MB', async () => {
  const { manifest } = await officialRuntime();
  expect(manifest).toMatchObject({ name: 'debian-12-python', filesystem: 'erofs', init: 'kit' });
  expect(manifest.interpreters.python?.version).toMatch(/^3\.11\./);
  expect(manifest.sizeBytes).toBeLessThanOrEqual(90 * 1024 * 1024);
});

test('runtime: its bytecode is valid, its root is a read-only image under an overlay, and nothing unwanted is in it', async () => {
  const program = await node.deploy({ 'main.py': INSPECTOR }, { seconds: 90, memoryMiB: 384 });
  const answer = await node.ask(program);
  const found = await answer.json();
  expect(found).toMatchObject({
    unwanted: [],
    docs: [],
    stale: [],
    root: 'overlay',
    pid1: 'init',
    asserts: true,
    cpus: 1,
  });
  expect(found).toMatchObject({ modules: true, writable: true });
  const { compiled, os, python, memory } = found as { compiled: number; os: string; python: string; memory: number };
  expect(compiled).toBeGreaterThan(800);
  expect(os).toContain('Debian GNU/Linux 12');
  expect(python).toMatch(/^3\.11\./);
  expect(memory).toBeGreaterThan(300);
});
