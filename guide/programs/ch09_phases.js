setTimeout(() => {
  setTimeout(() => console.log('timeout'), 0);
  setImmediate(() => console.log('immediate'));
  Promise.resolve().then(() => {
    console.log('task');
    process.nextTick(() => console.log('tick of the task'));
  });
  process.nextTick(() => console.log('tick'));
  console.log('callback');
}, 0);
