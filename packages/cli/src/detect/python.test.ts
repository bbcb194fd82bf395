import { describe, expect, test } from 'vitest';
import { walkFolder } from '../pack/walk.ts';
import { temporaryFolder } from '../testing.ts';
import { checkPythonEntrypoint, findAttribute, findPython } from './python.ts';
import { Sources } from './sources.ts';

const { signal } = new AbortController();
const sourcesOf = async (path: string) => new Sources(await walkFolder(path, { signal }));

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

describe('findPython', () => {
  test.each([
    [{ 'main.py': 'app = 1', 'app.py': 'app = 2' }, 'main:app'],
    [{ 'main.py': 'print()', 'wsgi.py': 'application = 2' }, 'wsgi:application'],
    [{ 'app/main.py': 'app = FastAPI()' }, 'app.main:app'],
    [{ 'manage.py': '', 'site/asgi.py': 'application = get_asgi_application()' }, 'site.asgi:application'],
    [{ 'main.py': 'app = 1\r\n', 'x.txt': '' }, 'main:app'],
    [{ 'app.py': 'def create_app():\n  pass' }, 'app:create_app()'],
  ])('findPython: finds the program of %o, when asked, as %s', async (files, expected) => {
    await using folder = await temporaryFolder(files as Record<string, string>);
    const found = await findPython(await sourcesOf(folder.path));
    expect(found).toMatchObject({ kind: 'python', entrypoint: expected, runtime: 'debian-12-python' });
    expect(found?.reason).toMatch(/\.py has /);
  });

  test('findPython: finds nothing, when no module of a usual name has an application', async () => {
    await using folder = await temporaryFolder({ 'main.py': 'print()', 'lib/x.py': 'app = 1' });
    expect(await findPython(await sourcesOf(folder.path))).toBeUndefined();
  });
});

describe('checkPythonEntrypoint', () => {
  test('checkPythonEntrypoint: takes a module or package of the folder, when it is there', async () => {
    await using folder = await temporaryFolder({ 'api.py': '', 'web/__init__.py': '' });
    const sources = await sourcesOf(folder.path);
    for (const told of ['api:app', 'web:app', 'web:make.app()']) {
      expect(checkPythonEntrypoint(told, sources).entrypoint).toBe(told);
    }
    for (const told of ['api', 'api:', ':app', 'api:app:x', 'api:app(1)', 'a-b:app', 'no:app', 'webb:app']) {
      expect(() => checkPythonEntrypoint(told, sources)).toThrow(/^Cannot use the entrypoint /);
    }
  });
});
