import { Router } from 'express';

/** In memory, for as long as the machine is awake. */
const all = new Map();
let lastId = 0;

export const tasks = Router();

tasks.get('/', (req, res) => {
  const { done } = req.query;
  const wanted = [...all.values()].filter((task) => done === undefined || String(task.done) === done);
  res.json({ tasks: wanted });
});

tasks.post('/', (req, res) => {
  const title = titleOf(req.body);
  lastId += 1;
  const task = { id: lastId, title, done: false };
  all.set(task.id, task);
  res.status(201).location(`/tasks/${task.id}`).json(task);
});

tasks.param('id', (req, _res, next, id) => {
  req.task = all.get(Number(id));
  next(req.task ? undefined : refusal(404, 'No task has that id'));
});

tasks.get('/:id', (req, res) => res.json(req.task));

tasks.patch('/:id', (req, res) => {
  if (typeof req.body?.done !== 'boolean') throw refusal(400, 'Expected {"done": true} or {"done": false}');
  req.task.done = req.body.done;
  res.json(req.task);
});

tasks.delete('/:id', (req, res) => {
  all.delete(req.task.id);
  res.status(204).end();
});

function titleOf(body) {
  const title = typeof body?.title === 'string' ? body.title.trim() : '';
  if (title === '' || title.length > 200) throw refusal(400, 'Expected {"title": "..."} of 1 to 200 characters');
  return title;
}

/** An error with a status for the client. */
function refusal(status, message) {
  return Object.assign(new Error(message), { status });
}
