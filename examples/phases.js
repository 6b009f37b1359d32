// The example `phases` in NodeJS. Its output is phases.txt: `node phases.js >phases.txt`.
const net = require("net");
const { MessageChannel } = require("worker_threads");

// Prints its phase, and schedules a task and a tick.
function callback(phase, text) {
  console.log(`${phase.padEnd(8)} ${text}`);
  queueMicrotask(() => console.log("           task"));
  process.nextTick(() => console.log("           tick"));
}

// Waits until a timeout of the least delay, a millisecond, is due.
function spin() {
  const end = Date.now() + 5;
  while (Date.now() < end);
}

const inbox = new MessageChannel();
inbox.port1.on("message", () => {
  callback("poll", "a message");
  inbox.port1.close();
});

const server = net.createServer((connection) => {
  callback("poll", "an event of I/O");
  setTimeout(() => {
    callback("timers", "timeout 1");
    setImmediate(callback, "check", "an immediate of timeout 1");
  }, 0);
  setTimeout(callback, 0, "timers", "timeout 2");
  setImmediate(() => {
    callback("check", "an immediate");
    setImmediate(callback, "check", "an immediate of an immediate");
  });
  inbox.port2.postMessage("hello");
  connection.on("close", () => callback("closing", "the connection is closed"));
  connection.destroy();
  server.close();
  spin();
});
server.listen(0, "127.0.0.1", () => net.connect(server.address().port, "127.0.0.1"));

callback("main", "the program itself");
