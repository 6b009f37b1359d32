// Ticks and tasks within ticks and tasks, from a callback of each phase.
const fs = require("fs");
const net = require("net");
const say = (text) => console.log(text);

function program(name) {
  say(name);
  process.nextTick(() => {
    say("tick");
    queueMicrotask(() => {
      say("task of tick");
      process.nextTick(() => {
        say("tick of task of tick");
        queueMicrotask(() => say("task of tick of task of tick"));
      });
    });
    process.nextTick(() => {
      say("tick of tick");
      process.nextTick(say, "tick of tick of tick");
    });
  });
  queueMicrotask(() => {
    say("task");
    queueMicrotask(() => {
      say("task of task");
      process.nextTick(say, "tick of task of task");
    });
    process.nextTick(say, "tick of task");
  });
}

const server = net.createServer((socket) => {
  server.close();
  fs.stat(".", () => {
    program("io");
    setImmediate(() => {
      program("immediate");
      socket.on("close", () => {
        program("close");
        setTimeout(() => program("timeout"), 1);
      });
      socket.destroy();
    });
    setImmediate(say, "immediate 2");
  });
});
server.listen(0, () => net.connect(server.address().port).resume());
