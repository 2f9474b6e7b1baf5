import { startRedis, startCluster, noRedis } from '/work/main/test/support/redis-server.ts'
import { createRedisClient } from '/work/main/plugin/stores/redis/client.ts'
import { checkRedis } from '/work/main/plugin/stores/redis/check.ts'
import { redisStore } from '/work/main/plugin/stores/redis.ts'
console.log('none?', noRedis)
const s = await startRedis()
const client = createRedisClient({ url: s.url })
console.log(await checkRedis(client))
const store = redisStore({ client })
console.log(await store.create('k','v',1000), await store.create('k','v',1000), await store.read('k'))
await store.watch({onChange:(k)=>console.log('chg',k),onGap:()=>console.log('gap'),onResume:()=>console.log('resume')})
console.log(await store.replace('k',1,'w',1000), await store.replace('k',1,'w',1000), await store.read('k'))
await store.check()
console.log(store.now()-Date.now())
let t0=Date.now(); s.pause(); 
await store.read('k').catch(e=>console.log(e.message, Date.now()-t0))
await new Promise(r=>setTimeout(r,2500)); console.log(client.status)
s.resume(); await new Promise(r=>setTimeout(r,1500))
await store.close(); client.disconnect(); await s.stop()
const c = await startCluster()
console.log('cluster up')
const cc = createRedisClient({ url: 'redis+cluster://'+c.servers.map(s=>'127.0.0.1:'+s.port).join(',') })
console.log(await checkRedis(cc))
const cs = redisStore({client:cc})
await cs.watch({onChange:(k)=>console.log('chg',k),onGap:()=>console.log('gap'),onResume:()=>console.log('resume')})
for (const k of ['a','b','c','d']) { await cs.create(k,'v',1000); await cs.replace(k,1,'w',1000)}
await cs.addToIndex(['a','b','c'],'m',1000); console.log(await cs.readIndex('b'))
await new Promise(r=>setTimeout(r,1200))
await cs.close(); cc.disconnect(); await c.stop()
