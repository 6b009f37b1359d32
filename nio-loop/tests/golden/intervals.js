// Intervals that are cleared by their callback and by what it queues, and timers that keep nothing alive.
const fs = require("fs");
const say = (text) => console.log(text);

function spin() {
  const end = Date.now() + 5;
  while (Date.now() < end);
}

fs.stat(".", () => {
  const byCallback = setInterval(() => {
    say("cleared by its callback");
    clearInterval(byCallback);
    process.nextTick(say, "tick of the first");
  }, 1);
  const byTick = setInterval(() => {
    say("cleared by a tick");
    process.nextTick(() => clearInterval(byTick));
  }, 1);
  const byTask = setInterval(() => {
    say("cleared by a task");
    queueMicrotask(() => clearInterval(byTask));
  }, 1);
  let victim;
  setTimeout(() => {
    say("clears another");
    clearInterval(victim);
  }, 1);
  victim = setInterval(say, 1, "never");
  const outer = setInterval(() => {
    say("outer");
    clearInterval(outer);
    const inner = setInterval(() => {
      say("inner");
      clearInterval(inner);
      unreferenced();
    }, 1);
  }, 1);
  spin();
});

function unreferenced() {
  setTimeout(say, 1, "kept alive by another").unref();
  const back = setTimeout(say, 20, "referenced again");
  back.unref();
  back.ref();
  setTimeout(say, 60000, "never").unref();
  setInterval(say, 60000, "never").unref();
  setTimeout(() => say("the last"), 40);
}
