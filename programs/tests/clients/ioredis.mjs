// redis_lite with ioredis: node ioredis.mjs PORT
import assert from 'node:assert/strict';
import { Redis } from 'ioredis';

for (const options of [{}, { connectionName: 'me' }, { enableAutoPipelining: true }]) {
  const redis = new Redis({ port: Number(process.argv[2]), ...options });
  redis.on('error', (error) => { throw error; });
  assert.equal(await redis.ping(), 'PONG');
  assert.equal(await redis.flushall(), 'OK');
  assert.equal(await redis.set('a', '1', 'EX', 100), 'OK');
  assert.equal(await redis.get('a'), '1');
  assert.equal(await redis.get('nosuch'), null);
  assert.equal(await redis.ttl('a'), 100);
  assert.equal(await redis.set('a', '2', 'NX'), null);
  assert.equal(await redis.incrby('n', 10), 10);
  assert.equal(await redis.decrby('n', 3), 7);
  assert.equal(await redis.mset('x', '1', 'y', '2'), 'OK');
  assert.deepEqual(await redis.mget('x', 'nosuch', 'y'), ['1', null, '2']);
  assert.equal(await redis.getset('x', 'new'), '1');
  assert.deepEqual((await redis.keys('?')).sort(), ['a', 'n', 'x', 'y']);
  const scanned = [];
  for await (const keys of redis.scanStream({ count: 1 })) scanned.push(...keys);
  assert.deepEqual(scanned.sort(), ['a', 'n', 'x', 'y']);
  const pipeline = redis.pipeline();
  for (let i = 0; i < 10_000; i++) pipeline.incr('q');
  assert.deepEqual((await pipeline.exec()).at(-1), [null, 10_000]);
  assert.deepEqual(await redis.multi().incr('m').get('m').exec(), [[null, 1], [null, '1']]);
  if (options.connectionName) assert.equal(await redis.client('GETNAME'), 'me');
  assert.ok((await redis.client('LIST')).includes('lib-name=ioredis'));
  await assert.rejects(redis.lpush('a', '1'), /unknown command/);
  assert.equal(await redis.select(0), 'OK');
  assert.equal(await redis.quit(), 'OK');
}
