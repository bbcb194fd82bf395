import { describe, expect, test } from 'vitest';
import { checkEntrypoint, detectEntrypoint, findAttribute } from './detect.ts';
import { walkFolder } from './pack/walk.ts';
import { temporaryFolder } from './testing.ts';

const { signal } = new AbortController();

describe('findAttribute', () => {
  test.each([
    ['app = FastAPI()', 'app'],
    ['app: FastAPI = FastAPI(title="x")', 'app'],
    ['import fastapi\nservice = fastapi.FastAPI()', 'service'],
    ['other = Flask(__name__)\napp = Flask(__name__)', 'app'],
    ['application = get_wsgi_application()', 'application'],
    ['async def app(scope, receive, send):\n    pass', 'app'],
    ['def application(environ, start_response):\n    pass', 'application'],
    ['from .factory import app', 'app'],
    ['from factory import db, app, other', 'app'],
    ['def create_app():\n    return 1', 'create_app()'],
    ['def create_app(config=None, *args, **more):\n    return 1', 'create_app()'],
    ['def create_app(config):\n    return 1', undefined],
    ['def make():\n    app = Flask(__name__)', undefined],
    ['app == 1', undefined],
    ['apple = 1', undefined],
    ['from x import app as other', undefined],
    ['', undefined],
  ])('findAttribute: reads %j, when asked, as %s', (source, expected) => {
    expect(findAttribute(source)?.name).toBe(expected);
  });
});

describe('detectEntrypoint', () => {
  test.each([
    [{ 'main.py': 'app = 1', 'app.py': 'app = 2' }, 'main:app'],
    [{ 'main.py': 'print()', 'wsgi.py': 'application = 2' }, 'wsgi:application'],
    [{ 'app/main.py': 'app = FastAPI()' }, 'app.main:app'],
    [{ 'manage.py': '', 'site/asgi.py': 'application = get_asgi_application()' }, 'site.asgi:application'],
    [{ 'main.py': 'app = 1\r\n', 'x.txt': '' }, 'main:app'],
    [{ 'app.py': 'def create_app():\n  pass' }, 'app:create_app()'],
  ])('detectEntrypoint: finds the program of %o, when asked, as %s', async (files, expected) => {
    await using folder = await temporaryFolder(files as Record<string, string>);
    const found = await detectEntrypoint(await walkFolder(folder.path, { signal }), folder.path);
    expect(found.entrypoint).toBe(expected);
    expect(found.reason).toMatch(/\.py has /);
  });

  test('detectEntrypoint: lists what it looked for, when nothing is found', async () => {
    await using folder = await temporaryFolder({ 'main.py': 'print()', 'lib/x.py': 'app = 1' });
    const detecting = detectEntrypoint(await walkFolder(folder.path, { signal }), folder.path);
    await expect(detecting).rejects.toThrow(/no application in main\.py, expected "app", "application"/);
    await using empty = await temporaryFolder({ 'readme.md': '' });
    const guessing = detectEntrypoint(await walkFolder(empty.path, { signal }), empty.path);
    await expect(guessing).rejects.toThrow(/no main\.py, app\.py/);
  });
});

describe('checkEntrypoint', () => {
  test('checkEntrypoint: takes a module or package of the folder, when it is there', async () => {
    await using folder = await temporaryFolder({ 'api.py': '', 'web/__init__.py': '' });
    const walked = await walkFolder(folder.path, { signal });
    for (const told of ['api:app', 'web:app', 'web:make.app()']) {
      expect(checkEntrypoint(told, walked).entrypoint).toBe(told);
    }
    for (const told of ['api', 'api:', ':app', 'api:app:x', 'api:app(1)', 'a-b:app', 'no:app', 'webb:app']) {
      expect(() => checkEntrypoint(told, walked)).toThrow(/^Cannot use the entrypoint /);
    }
  });
});
