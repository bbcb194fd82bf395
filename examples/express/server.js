/** A server as one runs it anywhere: it listens on $PORT by itself, and ends in order when it is told to. */
import express from 'express';
import { tasks } from './routes/tasks.js';

const app = express();
app.disable('x-powered-by');

app.use((req, res, next) => {
  res.on('finish', () => console.log(`${req.method} ${req.originalUrl} ${res.statusCode}`));
  next();
});
app.use(express.static('public'));
app.use(express.json({ limit: '100kb' }));
app.use('/tasks', tasks);

app.use((_req, res) => res.status(404).json({ error: 'Nothing is there' }));
// Express knows an error handler by its four parameters.
app.use((error, _req, res, _next) => {
  const status = error.status ?? 500;
  if (status >= 500) console.error(error);
  res.status(status).json({ error: status >= 500 ? 'Internal error' : error.message });
});

const server = app.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));

process.on('SIGTERM', () => {
  console.log('ending');
  server.close(() => process.exit(0));
});
