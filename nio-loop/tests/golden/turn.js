// One turn after an I/O callback, and what runs between two callbacks.
const fs = require("fs");
const say = (text) => console.log(text);

// Until all that was set with the least delay is due.
function spin() {
  const end = Date.now() + 5;
  while (Date.now() < end);
}

function callback(name) {
  say(name);
  queueMicrotask(() => say(`${name}: task`));
  process.nextTick(say, `${name}: tick`);
}

fs.stat(".", () => {
  callback("io");
  setTimeout(() => {
    callback("timeout 1");
    setImmediate(callback, "immediate of timeout 1");
    setTimeout(callback, 40, "timeout of timeout 1");
  }, 0);
  setTimeout(callback, 0, "timeout 2");
  setImmediate(() => {
    callback("immediate 1");
    setImmediate(callback, "immediate of immediate 1");
  });
  setImmediate(callback, "immediate 2");
  spin();
});
