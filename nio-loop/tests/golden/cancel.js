// What is cleared by another of its batch, an interval that clears itself, and sleeping tasks.
const fs = require("fs");
const say = (text) => console.log(text);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function spin() {
  const end = Date.now() + 5;
  while (Date.now() < end);
}

async function worker(name, delay) {
  say(`${name} begins`);
  await sleep(delay);
  say(`${name} ends`);
  return name;
}

async function workers() {
  const names = await Promise.all([worker("slow", 120), worker("fast", 20)]);
  say(names.join(" and "));
}

fs.stat(".", () => {
  let timeout, immediate;
  setTimeout(() => {
    say("timeout 1");
    clearTimeout(timeout);
  }, 1);
  timeout = setTimeout(say, 1, "timeout 2");
  setTimeout(say, 1, "timeout 3");
  setImmediate(() => {
    say("immediate 1");
    clearImmediate(immediate);
  });
  immediate = setImmediate(say, "immediate 2");
  setImmediate(say, "immediate 3");
  setTimeout(() => {
    let count = 0;
    const interval = setInterval(() => {
      count += 1;
      say(`interval ${count}`);
      if (count === 3) {
        clearInterval(interval);
        workers();
      }
    }, 2);
  }, 20);
  spin();
});
