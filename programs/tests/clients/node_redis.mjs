// redis_lite with node-redis: node node_redis.mjs PORT
import assert from 'node:assert/strict';
import { createClient } from 'redis';

const url = `redis://127.0.0.1:${process.argv[2]}`;
for (const options of [{}, { RESP: 2 }, { RESP: 3 }, { name: 'me' }]) {
  const client = createClient({ url, ...options });
  client.on('error', (error) => { throw error; });
  await client.connect();
  assert.equal(await client.ping(), 'PONG');
  assert.equal(await client.flushAll(), 'OK');
  assert.equal(await client.set('a', '1'), 'OK');
  assert.equal(await client.get('a'), '1');
  assert.equal(await client.get('nosuch'), null);
  assert.equal(await client.setEx('t', 100, 'x'), 'OK');
  assert.equal(await client.ttl('t'), 100);
  assert.equal(await client.expire('a', 50), 1);
  assert.equal(await client.persist('a'), 1);
  assert.equal(await client.incrBy('n', 10), 10);
  assert.equal(await client.decr('n'), 9);
  assert.equal(await client.mSet({ x: '1', y: '2' }), 'OK');
  assert.deepEqual(await client.mGet(['x', 'nosuch', 'y']), ['1', null, '2']);
  assert.equal(await client.exists(['x', 'y', 'nosuch']), 2);
  assert.equal(await client.append('x', '23'), 3);
  assert.equal(await client.strLen('x'), 3);
  assert.equal(await client.getDel('x'), '123');
  assert.equal(await client.type('y'), 'string');
  assert.deepEqual((await client.keys('*')).sort(), ['a', 'n', 't', 'y']);
  const scanned = [];
  for await (const keys of client.scanIterator({ COUNT: 1 })) scanned.push(...[keys].flat());
  assert.deepEqual(scanned.sort(), ['a', 'n', 't', 'y']);
  assert.deepEqual(await client.multi().incr('m').get('m').exec(), [1, '1']);
  const numbers = await Promise.all(Array.from({ length: 10_000 }, () => client.incr('q')));
  assert.equal(numbers.at(-1), 10_000);
  assert.equal(await client.dbSize(), 6);
  assert.ok((await client.info()).includes('role:master'));
  assert.ok(await client.clientId() > 0);
  if (options.name) assert.equal(await client.clientGetName(), 'me');
  assert.equal((await client.configGet('maxmemory-policy'))['maxmemory-policy'], 'noeviction');
  await assert.rejects(client.lPush('a', '1'), /unknown command/);
  await client.select(0);
  await client.close();
}
