// serve.cjs PORT FOLDER: the program in a folder as the launcher serves it, with nothing of vmlet around it.
const { createServer } = require('node:http');

createServer(require(`${process.argv[3]}/server.js`)).listen(Number(process.argv[2]), '127.0.0.1');
