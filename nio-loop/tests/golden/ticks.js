// Ticks and tasks that queue ticks and tasks, from the main script and from a timer.
const say = (text) => console.log(text);

function program(name) {
  say(name);
  queueMicrotask(() => {
    say("task 1");
    process.nextTick(() => {
      say("tick of task 1");
      queueMicrotask(() => say("task of tick of task 1"));
      process.nextTick(say, "tick of tick of task 1");
    });
    queueMicrotask(() => {
      say("task of task 1");
      queueMicrotask(() => say("task of task of task 1"));
    });
  });
  process.nextTick(() => {
    say("tick 1");
    process.nextTick(say, "tick of tick 1");
    queueMicrotask(() => say("task of tick 1"));
  });
  queueMicrotask(() => say("task 2"));
  process.nextTick(say, "tick 2");
}

program("main");
setTimeout(() => {
  program("timer");
  setImmediate(say, "immediate");
}, 1);
