// Answers 200 to everything and logs what it understood.
const http = require('node:http');
const server = http.createServer((request, response) => {
  console.log(`200 ${request.method} ${request.url}`);
  request.resume();
  request.on('end', () => {
    response.setHeader('X-Target', request.url);
    response.end('ok');
  });
});
server.keepAliveTimeout = 30000;
server.on('clientError', (error, socket) => {
  // A request that is cut short is none that it could not read.
  if (!['ECONNRESET', 'HPE_INVALID_EOF_STATE'].includes(error.code)) console.log(`400 - ${error.code}`);
  socket.destroy();
});
server.listen(Number(process.argv[2]), '127.0.0.1');
