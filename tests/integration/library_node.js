// library_node - node-redis and ioredis as programs use them; see libraries.py for what is printed.
//
// library_node.js SOCKET deaths|restarts redis|ioredis VISITORS [PROTOCOL]
"use strict";

const [path, kind, library, visitors, protocol] = process.argv.slice(2);
const said = { rounds: 0, failures: 0, wrong: [], counters: {}, equal: [], sums: {} };
let over = false;

const nodeRedis = {
  async open(database) {
    const { createClient } = require("redis");
    const options = { socket: { path }, database };
    if (protocol)
      options.RESP = Number(protocol);
    const client = createClient(options);
    client.on("error", () => {}); // it tries again by itself
    await client.connect();
    return client;
  },
  incr: (client, key) => client.incr(key),
  transaction: (client, a, b) => client.multi().incr(a).incr(b).exec(),
  async watched(client, key, mine) {
    // A connection of the program's own, as WATCH asks for.
    const one = client.spare ??= await nodeRedis.open(0);
    await one.watch(key);
    const value = Number(await one.get(key));
    try {
      return (await one.multi().set(key, String(value + 1)).incr(mine).exec())[1];
    } catch (failure) {
      if (failure.constructor.name === "WatchError")
        return null;
      throw failure;
    }
  },
  set: (client, key, value) => client.set(key, value),
  get: (client, key) => client.get(key),
  del: (client, key) => client.del(key),
  push: (client, key, value) => client.lPush(key, value),
  async pop(client, key) {
    const one = client.blocking ??= await nodeRedis.open(0);
    return (await one.brPop(key, 5))?.element;
  },
  async subscribe(client, channel, heard) {
    const one = client.subscriber ??= await nodeRedis.open(0);
    await one.subscribe(channel, heard);
    return () => one.unsubscribe(channel);
  },
  publish: (client, channel, value) => client.publish(channel, value),
  async close(client) {
    for (const one of [client, client.spare, client.blocking, client.subscriber])
      await one?.disconnect();
  },
};

const ioRedis = {
  async open(database) {
    const { Redis } = require("ioredis");
    // A request that was repeated would count twice.
    const options = { path, db: database, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 };
    if (protocol)
      options.protocol = Number(protocol);
    const client = new Redis(options);
    client.on("error", () => {});
    await client.ping();
    return client;
  },
  incr: (client, key) => client.incr(key),
  transaction: async (client, a, b) => ioRedis.results(await client.multi().incr(a).incr(b).exec()),
  results(pairs) {
    for (const [failure] of pairs)
      if (failure)
        throw failure;
    return pairs.map(([, value]) => value);
  },
  async watched(client, key, mine) {
    const one = client.spare ??= await ioRedis.open(0);
    await one.watch(key);
    const value = Number(await one.get(key));
    const pairs = await one.multi().set(key, value + 1).incr(mine).exec();
    return pairs && ioRedis.results(pairs)[1];
  },
  set: (client, key, value) => client.set(key, value),
  get: (client, key) => client.get(key),
  del: (client, key) => client.del(key),
  push: (client, key, value) => client.lpush(key, value),
  async pop(client, key) {
    const one = client.blocking ??= await ioRedis.open(0);
    return (await one.brpop(key, 5))?.[1];
  },
  async subscribe(client, channel, heard) {
    const one = client.subscriber ??= await ioRedis.open(0);
    one.removeAllListeners("message");
    one.on("message", (_, value) => heard(value));
    await one.subscribe(channel);
    return () => one.unsubscribe(channel);
  },
  publish: (client, channel, value) => client.publish(channel, value),
  async close(client) {
    for (const one of [client, client.spare, client.blocking, client.subscriber])
      one?.disconnect();
  },
};

const api = library === "redis" ? nodeRedis : ioRedis;

function check(what, got, expected) {
  if (got !== expected)
    said.wrong.push(`${what}: ${got} in place of ${expected}`);
}

// ask() adds one to the key and gives what it is then; null: nothing was done.
async function counting(key, ask) {
  const known = said.counters[key] ??= [0, 0];
  let got;
  try {
    got = await ask();
  } catch (failure) {
    known[1]++;
    throw failure;
  }
  if (got === null)
    return;
  got = Number(got);
  if (!(got > known[0] && got <= known[0] + known[1] + 1))
    said.wrong.push(`${key}: ${got} after ${known}`);
  known[0] = got;
  known[1] = 0;
}

function steps(number, zero, one) {
  const a = `zero:a:${number}`, b = `zero:b:${number}`, watched = `zero:watched:${number}`;
  said.equal.push([a, b]);
  return {
    count: () => counting(`zero:count:${number}`, () => api.incr(zero, `zero:count:${number}`)),
    transaction: () => counting(a, async () => {
      const [first, second] = await api.transaction(zero, a, b);
      check("a transaction's two keys", first, second);
      return first;
    }),
    watched: () => counting(watched, () => api.watched(zero, "zero:watched", watched)),
    // Written at once, as both libraries do with what is asked in one turn.
    pipeline: async (round) => {
      const asked = [];
      for (let place = 0; place < 10; place++)
        asked.push(api.set(zero, `zero:pipe:${number}:${place}`, `${number} ${round} ${place}`),
          api.get(zero, `zero:pipe:${number}:${place}`));
      const got = await Promise.allSettled(asked);
      const failed = got.find((one) => one.status === "rejected");
      if (failed)
        throw failed.reason;
      for (let place = 0; place < 10; place++)
        check("pipeline", got[2 * place + 1].value, `${number} ${round} ${place}`);
    },
    queue: async (round) => {
      await api.del(zero, `zero:queue:${number}`);
      await api.push(zero, `zero:queue:${number}`, String(round));
      check("brpop", await api.pop(zero, `zero:queue:${number}`), String(round));
    },
    database: async (round) => {
      await api.set(one, `one:${number}`, `${number} ${round}`);
      check("get in database 1", await api.get(one, `one:${number}`), `${number} ${round}`);
      check("get in database 0", await api.get(zero, `one:${number}`), null);
    },
    channel: async (round) => {
      let heard;
      const message = new Promise((resolve) => { heard = resolve; });
      const unsubscribe = await api.subscribe(zero, `channel:${number}`, heard);
      const count = await api.publish(zero, `channel:${number}`, String(round));
      const late = new Promise((resolve) => setTimeout(resolve, 5000, "nothing"));
      const value = count ? await Promise.race([message, late]) : "nothing";
      if (kind === "restarts" && value === "nothing")
        said.failures++; // the subscription was lost, and is made again
      else
        check("message", value, String(round));
      await unsubscribe();
    },
  };
}

async function visit(number) {
  const [zero, one] = [await api.open(0), await api.open(1)];
  const all = Object.entries(steps(number, zero, one));
  opened();
  for (let round = 0; !over; round++) {
    for (const [name, step] of all) {
      try {
        await step(round);
      } catch (failure) {
        said.failures++;
        console.error(`${name}: ${failure}`);
      }
    }
    said.rounds++;
  }
  await api.close(zero);
  await api.close(one);
}

let waited = Number(visitors);
function opened() {
  if (--waited === 0)
    console.log("running");
}

process.stdin.on("end", () => { over = true; }).resume();
said.version = `${library} ${require(`${library}/package.json`).version}`;
Promise.all(Array.from({ length: Number(visitors) }, (_, number) => visit(number))).then(() => {
  said.sums["zero:watched"] = Object.keys(said.counters).filter((key) => key.startsWith("zero:watched:"));
  console.log(JSON.stringify(said));
  process.exit(0);
});
