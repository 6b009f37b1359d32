// Callbacks that throw, each between two that do not. One that throws queues nothing: when that would
// run is a whim of Node, which goes on with the next callback first.
const fs = require("fs");
const say = (text) => console.log(text);
process.on("uncaughtException", (error) => say(`caught ${error.message}`));

function spin() {
  const end = Date.now() + 5;
  while (Date.now() < end);
}

function three(set, kind, then) {
  set(() => {
    say(`${kind} 1`);
    process.nextTick(say, `tick of ${kind} 1`);
  });
  set(() => {
    say(`${kind} 2`);
    throw new Error(`${kind} 2`);
  });
  set(() => {
    say(`${kind} 3`);
    process.nextTick(say, `tick of ${kind} 3`);
    then();
  });
}

fs.stat(".", () => {
  three((f) => setTimeout(f, 1), "timeout", () => {
    setTimeout(() => {
      three(setImmediate, "immediate", () => {
        setTimeout(() => {
          three(process.nextTick, "tick", () => {});
        }, 20);
      });
    }, 20);
  });
  spin();
});
