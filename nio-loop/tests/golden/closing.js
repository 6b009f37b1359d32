// What follows the close of a socket, asked for in each phase, and what it queues in its turn.
const net = require("net");
const say = (text) => console.log(text);

function spin() {
  const end = Date.now() + 5;
  while (Date.now() < end);
}

function callback(name) {
  say(name);
  queueMicrotask(() => say(`${name}: task`));
  process.nextTick(say, `${name}: tick`);
}

const sockets = [];
const server = net.createServer((socket) => {
  sockets.push(socket);
  if (sockets.length === 3) {
    server.close();
    setImmediate(phases);
  }
});
server.listen(0, () => {
  for (let i = 0; i < 3; i++) net.connect(server.address().port).resume();
});

function close(name) {
  const socket = sockets.pop();
  socket.on("close", () => {
    callback(`closed by ${name}`);
    setImmediate(callback, `immediate of closed by ${name}`);
    setTimeout(callback, 0, `timeout of closed by ${name}`);
    spin();
  });
  socket.destroy();
}

function phases() {
  callback("immediate 1");
  close("immediate 1");
  setTimeout(() => {
    callback("timeout");
    close("timeout");
    setImmediate(() => {
      callback("immediate 2");
      process.nextTick(() => {
        callback("tick of immediate 2");
        setTimeout(close, 200, "last timeout");
      });
    });
  }, 200);
}
