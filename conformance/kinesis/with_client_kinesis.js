// AWS's client for JavaScript, which speaks HTTP/2 without being asked: streams, records of all byte values, shards that are split and
// merged while they are read. `node with_client_kinesis.js URL`; prints `ok NAME` or `FAIL NAME why` for each check, and the count.
'use strict'

const { createHash } = require('node:crypto')
const { setTimeout: pause } = require('node:timers/promises')
const { isDeepStrictEqual } = require('node:util')
const kinesisClient = require('@aws-sdk/client-kinesis')
const { KinesisClient, paginateListStreams, waitUntilStreamExists, waitUntilStreamNotExists } = kinesisClient

// How long anything may take: far more than it needs, so that a hang has a name.
const WAIT_MS = 120_000
const RUN_MS = 500_000
const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
const ARN = 'arn:aws:kinesis:us-east-1:123456789012:stream/'

const client = new KinesisClient({
  endpoint: process.argv[2],
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' },
  maxAttempts: 1,
})
let passed = 0
let failed = 0

// Calls an operation by its name.
const call = (operation, input = {}) => client.send(new kinesisClient[`${operation}Command`](input))

async function check(name, body) {
  try {
    await body()
    passed += 1
    console.log(`ok ${name}`)
  } catch (error) {
    failed += 1
    console.log(`FAIL ${name} ${String(error.stack).replace(/\s+/g, ' ').slice(0, 900)}`)
  }
}

function same(found, expected, what) {
  if (!isDeepStrictEqual(found, expected)) {
    throw new Error(`${what}: ${JSON.stringify(found)?.slice(0, 400)} is not ${JSON.stringify(expected)?.slice(0, 400)}`)
  }
}

async function until(what, probe) {
  const end = Date.now() + WAIT_MS
  while (!(await probe())) {
    if (Date.now() > end) throw new Error(`not within ${WAIT_MS} ms: ${what}`)
    await pause(20)
  }
}

async function create(name, shards) {
  await call('CreateStream', { StreamName: name, ShardCount: shards })
  await active(name)
}

async function active(name) {
  const status = async () => (await call('DescribeStreamSummary', { StreamName: name })).StreamDescriptionSummary.StreamStatus
  await until(`${name} is ACTIVE`, async () => (await status()) === 'ACTIVE')
}

const iterator = async (name, shard) =>
  (await call('GetShardIterator', { StreamName: name, ShardId: shard, ShardIteratorType: 'TRIM_HORIZON' })).ShardIterator

// All records of a stream: a shard without parents first, a child when all its parents are read to their end, an open shard to `enough`.
async function readAll(name, enough) {
  const { Shards: shards } = await call('ListShards', { StreamName: name })
  const at = new Map()
  for (const shard of shards) if (!shard.ParentShardId) at.set(shard.ShardId, await iterator(name, shard.ShardId))
  const ended = new Set()
  const records = []
  await until(`${enough} records are read`, async () => {
    for (const [shard, from] of [...at]) {
      const page = await call('GetRecords', { ShardIterator: from })
      records.push(...page.Records.map(record => ({ shard, ...record })))
      at.set(shard, page.NextShardIterator)
      if (page.NextShardIterator) continue
      at.delete(shard)
      ended.add(shard)
      for (const child of page.ChildShards) {
        const begins = child.ParentShards.every(parent => ended.has(parent)) && !at.has(child.ShardId)
        if (begins) at.set(child.ShardId, await iterator(name, child.ShardId))
      }
    }
    return records.length >= enough
  })
  same(records.length, enough, 'records read')
  return records
}

async function protocol() {
  await call('ListStreams')
  same(client.config.requestHandler.metadata.handlerProtocol, 'h2', 'the protocol that the client speaks')
}

async function streams() {
  const StreamName = 'js-streams'
  await call('CreateStream', { StreamName, ShardCount: 2, Tags: { made: 'with it' } })
  await waitUntilStreamExists({ client, minDelay: 1, maxWaitTime: 30 }, { StreamName })
  const { StreamDescription: told } = await call('DescribeStream', { StreamName })
  same([told.StreamARN, told.StreamStatus, told.Shards.length], [ARN + StreamName, 'ACTIVE', 2], 'description')
  same(told.StreamCreationTimestamp instanceof Date && Math.abs(Date.now() - told.StreamCreationTimestamp) < 600_000, true, 'its time')
  const names = []
  for await (const page of paginateListStreams({ client, pageSize: 1 }, {})) names.push(...page.StreamNames)
  same(names.includes(StreamName), true, 'the list of streams')
  await call('TagResource', { ResourceARN: ARN + StreamName, Tags: { more: '' } })
  const { Tags } = await call('ListTagsForStream', { StreamName })
  same(Tags, [{ Key: 'made', Value: 'with it' }, { Key: 'more', Value: '' }], 'tags')
  const twice = await call('CreateStream', { StreamName, ShardCount: 1 }).catch(error => error)
  same([twice.name, twice.$metadata.httpStatusCode], ['ResourceInUseException', 400], 'made twice')
  same(twice.message, `Stream ${StreamName} under account 123456789012 already exists.`, 'what is said of it')
  await call('DeleteStream', { StreamName })
  await waitUntilStreamNotExists({ client, minDelay: 1, maxWaitTime: 30 }, { StreamName })
}

async function records() {
  const StreamName = 'js-records'
  await create(StreamName, 3)
  const entries = Array.from({ length: 300 }, (_, i) => ({ Data: Buffer.concat([EVERY_BYTE, Buffer.from(`${i}`)]), PartitionKey: `ключ ${i}` }))
  const { FailedRecordCount, Records: places } = await call('PutRecords', { StreamName, Records: entries })
  same(FailedRecordCount, 0, 'records that were not stored')
  const large = { Data: Buffer.alloc(1_000_000, EVERY_BYTE), PartitionKey: 'large' }
  places.push(await call('PutRecord', { StreamARN: ARN + StreamName, ...large }))
  const wanted = new Map([...entries, large].map((entry, i) => [places[i].SequenceNumber, { shard: places[i].ShardId, ...entry }]))
  for (const found of await readAll(StreamName, 301)) {
    const { shard, Data, PartitionKey } = wanted.get(found.SequenceNumber)
    same([found.shard, found.PartitionKey, Buffer.compare(found.Data, Data)], [shard, PartitionKey, 0], 'a record')
    const part = createHash('md5').update(PartitionKey).digest()
    same(shard, `shardId-00000000000${Math.min(2, Math.floor((part.readUInt32BE(0) / 2 ** 32) * 3))}`, 'its shard')
  }
  await call('DeleteStream', { StreamName })
}

async function resharding() {
  const StreamName = 'js-resharding'
  await create(StreamName, 2)
  let written = 0
  let stopped = false
  const write = async () => {
    for (; !stopped; written += 1) await call('PutRecord', { StreamName, Data: Buffer.from(`${written}`), PartitionKey: `key-${written % 7}` })
  }
  const writer = write()
  const more = async () => {
    const end = written + 30
    await Promise.race([writer, until('30 more records', () => written >= end)])
    await active(StreamName)
  }
  await more()
  await call('SplitShard', { StreamName, ShardToSplit: 'shardId-000000000001', NewStartingHashKey: String(2n ** 127n + 2n ** 125n) })
  await more()
  await call('MergeShards', { StreamName, ShardToMerge: 'shardId-000000000000', AdjacentShardToMerge: 'shardId-000000000002' })
  await more()
  await call('UpdateShardCount', { StreamName, TargetShardCount: 3, ScalingType: 'UNIFORM_SCALING' })
  await more()
  stopped = true
  await writer
  const of = new Map()
  for (const { Data, PartitionKey } of await readAll(StreamName, written)) {
    of.set(PartitionKey, [...(of.get(PartitionKey) ?? []), Number(Buffer.from(Data).toString())])
  }
  for (let key = 0; key < 7; key += 1) {
    const wanted = Array.from({ length: written }, (_, i) => i).filter(i => i % 7 === key)
    same(of.get(`key-${key}`), wanted, `records of key-${key}, in order`)
  }
}

// One subscription after the other, over HTTP/2: records come once and in order while they are put, over a stream that is cut and from a
// parent to its children.
async function subscription() {
  const StreamName = 'js-subscription'
  const ShardId = 'shardId-000000000000'
  await create(StreamName, 1)
  const { Consumer } = await call('RegisterStreamConsumer', { StreamARN: ARN + StreamName, ConsumerName: 'c' })
  const { ConsumerARN } = Consumer
  const status = async () => (await call('DescribeStreamConsumer', { ConsumerARN })).ConsumerDescription.ConsumerStatus
  await until('the consumer is ACTIVE', async () => (await status()) === 'ACTIVE')
  let written = 0
  const put = async count => {
    for (const end = written + count; written < end; written += 1) {
      await call('PutRecord', { StreamName, Data: Buffer.from(`${written}`), PartitionKey: 'k' })
    }
  }
  const read = []
  let StartingPosition = { Type: 'TRIM_HORIZON' }
  let children
  const subscribe = async () => {
    let events
    // One that was cut shortly before keeps the shard for five seconds.
    await until('the shard is to be had', async () => {
      const asked = call('SubscribeToShard', { ConsumerARN, ShardId, StartingPosition })
      events = await asked.catch(error => same(error.name, 'ResourceInUseException', 'why it is refused'))
      return events
    })
    return events.EventStream
  }
  const readTo = async enough => {
    for await (const { SubscribeToShardEvent: event } of await subscribe()) {
      read.push(...event.Records.map(record => Number(Buffer.from(record.Data).toString())))
      if (event.ContinuationSequenceNumber) {
        StartingPosition = { Type: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: event.ContinuationSequenceNumber }
      }
      children = event.ChildShards?.map(child => child.ShardId)
      if (children?.length || read.length >= enough) break
    }
  }
  await put(20)
  await Promise.all([readTo(50), put(40)])
  await put(5)
  await call('SplitShard', { StreamName, ShardToSplit: ShardId, NewStartingHashKey: '7' })
  await readTo(Infinity)
  same(read, Array.from({ length: 65 }, (_, i) => i), 'records')
  same(children, ['shardId-000000000001', 'shardId-000000000002'], 'children')
}

async function atOnce() {
  const StreamName = 'js-at-once'
  await create(StreamName, 2)
  const put = i => call('PutRecord', { StreamName, Data: Buffer.from(`${i}`), PartitionKey: `${i}` })
  const numbers = await Promise.all(Array.from({ length: 200 }, (_, i) => put(i)))
  same(new Set(numbers.map(place => `${place.ShardId} ${place.SequenceNumber}`)).size, 200, 'places')
  same((await readAll(StreamName, 200)).length, 200, 'records that were put at once')
}

async function main() {
  await check('protocol', protocol)
  await check('streams', streams)
  await check('records', records)
  await check('resharding', resharding)
  await check('at_once', atOnce)
  await check('subscription', subscription)
}

// A call that never comes back ends the run all the same.
setTimeout(() => {
  console.log(`FAIL run not done in ${RUN_MS} ms\n${passed} passed, ${failed + 1} failed`)
  process.exit(1)
}, RUN_MS)
main().finally(() => {
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed ? 1 : 0)
})
