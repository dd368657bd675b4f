// library_bullmq - queues of bullmq and their workers; see libraries.py for what is printed.
//
// library_bullmq.js SOCKET deaths|restarts WORKERS
"use strict";

const { Queue, QueueEvents, Worker } = require("bullmq");

const [path, kind, workers] = process.argv.slice(2);
const AHEAD = 50; // jobs that are under way, at most
const said = { rounds: 0, failures: 0, wrong: [], counters: {}, equal: [], sums: {} };
let over = false;

const carried = new Map(); // the job's number: how often it was carried out
const done = new Set();    // of whose end the queue's events told

function failed(failure) {
  said.failures++;
  console.error(String(failure));
}

function options(database) {
  // One of its own for each, as bullmq makes them by default.
  const connection = { path, db: database, maxRetriesPerRequest: null };
  return { connection, prefix: database ? "one:bull" : "zero:bull" };
}

function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

// Gives the queue jobs, and has them carried out by its workers.
async function visit(name, database) {
  const queue = new Queue(name, options(database));
  const events = new QueueEvents(name, options(database));
  const made = Array.from({ length: Number(workers) }, () => new Worker(name, async (job) => {
    const key = `${name}:${job.data.number}`;
    carried.set(key, (carried.get(key) ?? 0) + 1);
    if (job.data.name !== name)
      said.wrong.push(`a job of ${job.data.name} is in ${name}`);
    return job.data.number * 2;
  }, { ...options(database), concurrency: 4, stalledInterval: 500, lockDuration: 2000, maxStalledCount: 1000 }));
  for (const one of [queue, events, ...made])
    one.on("error", failed);
  events.on("completed", ({ returnvalue, jobId }) => {
    if (Number(returnvalue) !== 2 * Number(jobId.slice(1)))
      said.wrong.push(`${jobId} gave ${returnvalue}`);
    done.add(`${name}:${jobId}`);
  });
  await Promise.all([queue, events, ...made].map((one) => one.waitUntilReady()));
  opened();
  let asked = 0;
  const accepted = [];
  while (!over) {
    const number = asked++;
    try {
      await queue.add("job", { name, number }, { jobId: `j${number}`, attempts: 1000 });
      accepted.push(number);
      said.rounds++;
    } catch (failure) {
      failed(failure);
    }
    while (!over && accepted.length - count(name, accepted.length) > AHEAD)
      await pause(0.005);
  }
  await settled(name, accepted, queue);
  await Promise.all([...made, events, queue].map((one) => one.close()));
}

function count(name, upTo) {
  let known = 0;
  for (const key of carried.keys())
    known += key.startsWith(name);
  return Math.min(known, upTo);
}

// Each job that was accepted has been carried out: once, or at least once if the answer to that was lost.
async function settled(name, accepted, queue) {
  const until = Date.now() + 30000;
  for (const number of accepted) {
    while ((await queue.getJobState(`j${number}`).catch(failed)) !== "completed" && Date.now() < until)
      await pause(0.02);
    const times = carried.get(`${name}:${number}`) ?? 0;
    const state = await queue.getJobState(`j${number}`);
    if (state !== "completed" || times < 1 || (times > 1 && kind === "deaths"))
      said.wrong.push(`job ${number} of ${name} is ${state}, and was carried out ${times} times`);
  }
}

let waited = 2;
function opened() {
  if (--waited === 0)
    console.log("running");
}

process.stdin.on("end", () => { over = true; }).resume();
said.version = `bullmq ${require("bullmq/package.json").version}`;
Promise.all([visit("first", 0), visit("second", 1)]).then(() => {
  console.log(JSON.stringify(said));
  process.exit(0);
});
