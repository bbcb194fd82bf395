/** The smallest program for Node.js: a function from a Request to a Response, as the web has them. */
import { hostname } from 'node:os';

export default {
  fetch(request) {
    const name = new URL(request.url).pathname.replace(/^\/|\/$/g, '') || 'world';
    const machine = hostname().slice(0, 8);
    return new Response(
      `Hello, ${name}! This is Node.js ${process.versions.node} in a machine of its own (${machine})\n`,
    );
  },
};
