// The checks of checks.py with kafkajs. Usage: with_kafkajs.js BOOTSTRAP [NAME]; topics and groups begin with NAME.
//
// kafkajs can't read a partition without a group, nor ask for the end of the committed records. So what is read is ended by a
// record of its own in each partition, and an open transaction is not looked at.
'use strict'

const { isDeepStrictEqual, inspect } = require('node:util')
const { randomBytes } = require('node:crypto')

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const { AssignerProtocol, CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

// How long anything may take that is not itself measured.
const WAIT_MS = 120_000
const RUN_MS = 500_000
const FIRST_ASSIGNMENT_MS = 1_000 * (process.env.FIRST_ASSIGNMENT_S || 3)
const PARTITIONS = 7
const KEYS = Array.from({ length: 20 }, (_, i) => 'x'.repeat(i) + 'é' + i)
const CODECS = [['plain', CompressionTypes.None], ['gzip', CompressionTypes.GZIP], ['snappy', CompressionTypes.Snappy]]
const END = 'the end'

const [bootstrap, name = `kafkajs-${randomBytes(4).toString('hex')}`] = process.argv.slice(2)
if (!bootstrap) {
  console.error('usage: with_kafkajs.js BOOTSTRAP [NAME]')
  process.exit(2)
}
const kafka = new Kafka({ clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING })
const admin = kafka.admin()
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false })
const topics = []
let passed = 0
let failed = 0

// Asks until the answer is true, and returns it.
async function until(what, probe) {
  const end = Date.now() + WAIT_MS
  for (;;) {
    const answer = await probe()
    if (answer) return answer
    if (Date.now() > end) throw new Error(`not within ${WAIT_MS} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function same(found, expected, what) {
  if (!isDeepStrictEqual(found, expected)) {
    throw new Error(`${what}: ${inspect(found).slice(0, 400)} is not ${inspect(expected).slice(0, 400)}`)
  }
}

async function check(name, body) {
  try {
    await body()
    passed += 1
    console.log(`ok ${name}`)
  } catch (error) {
    failed += 1
    const place = (error.stack.match(/with_kafkajs\.js:\d+/g) || []).slice(0, 3)
    console.log(`FAIL ${name} ${String(error).replace(/\s+/g, ' ')} (${place.join(' ')})`)
  }
}

// Five records on the edges, then plain ones.
function records(count, tag) {
  const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const edges = [
    { key: null, value: Buffer.from(`${tag} no key`), headers: {} },
    { key: Buffer.from(`${tag} no value`), value: null, headers: {} },
    { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: {} },
    { key: every, value: Buffer.concat(Array(40).fill(every)), headers: { all: every, empty: Buffer.alloc(0) } },
    {
      key: Buffer.from('ключ'),
      value: Buffer.from('значение \u{1f600}'),
      headers: { twice: [Buffer.from('1'), Buffer.from('2')], имя: Buffer.from('3') },
    },
  ]
  const plain = Array.from({ length: count }, (_, i) => ({
    key: Buffer.from(`${tag}-${i}`),
    value: Buffer.from(`${tag} value ${i} `.repeat(20)),
    headers: { n: Buffer.from(String(i)) },
  }))
  return [...edges, ...plain]
}

async function topic(suffix, numPartitions) {
  const made = `${name}-${suffix}`
  await admin.createTopics({ topics: [{ topic: made, numPartitions, replicationFactor: 1 }] })
  topics.push(made)
  await until(`${made} has ${numPartitions} partitions`, async () => (await partitionCount(made)) === numPartitions)
  return made
}

// 0 where there is no such topic, which must not be made by asking.
async function partitionCount(of) {
  if (!(await admin.listTopics()).includes(of)) return 0
  return (await admin.fetchTopicMetadata({ topics: [of] })).topics[0].partitions.length
}

// Sends to one partition, and returns the offset of the first record.
async function produce(to, partition, batch, compression = CompressionTypes.None, through = producer) {
  const messages = batch.map(record => ({ ...record, partition }))
  const [answer] = await through.send({ topic: to, messages, compression, acks: -1 })
  same([answer.errorCode, answer.partition], [0, partition], 'where the records went')
  return Number(answer.baseOffset)
}

// {partition: [record]} of all there is, from the beginning.
async function read(from, readUncommitted = false) {
  const partitions = (await admin.fetchTopicOffsets(from)).map(one => one.partition)
  for (const partition of partitions) await produce(from, partition, [{ key: null, value: END }])
  const found = {}
  const ended = new Set()
  const groupId = `${name}-read-${randomBytes(4).toString('hex')}`
  const consumer = kafka.consumer({ groupId, readUncommitted, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics: [from], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message: { key, value, headers } }) => {
      if (String(value) === END) ended.add(partition)
      else (found[partition] = found[partition] || []).push({ key, value, headers: { ...headers } })
    },
  })
  try {
    await until(`${from} is read to its end`, () => ended.size === partitions.length)
  } finally {
    await consumer.disconnect()
  }
  return found
}

// A member of a group that reads in the background, from the beginning where nothing is committed.
async function join(groupId, from) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, sessionTimeout: 10_000, maxWaitTimeInMs: 100 })
  const member = { consumer, assignment: [], seen: new Set() }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    member.assignment = (payload.memberAssignment[from] || []).slice().sort()
  })
  consumer.on(consumer.events.REBALANCING, () => {
    member.assignment = []
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [from], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      member.seen.add(`${partition}:${message.offset}`)
    },
  })
  return member
}

async function describeGroup(groupId) {
  const [found] = (await admin.describeGroups([groupId])).groups
  const shares = found.members.map(one => Object.values(AssignerProtocol.MemberAssignment.decode(one.memberAssignment).assignment))
  return [found.state, shares.map(share => share.flat().sort()).sort()]
}

async function committed(groupId, of) {
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [of] })
  return Object.fromEntries(partitions.filter(one => one.offset !== '-1').map(one => [one.partition, Number(one.offset)]))
}

function places(partition, from, to) {
  return Array.from({ length: to - from }, (_, i) => `${partition}:${from + i}`)
}

async function createTopic() {
  const absent = `${name}-absent`
  same(await partitionCount(absent), 0, 'partitions of a topic that nobody made')
  await topic('made', 3)
  same(await partitionCount(absent), 0, 'partitions of a topic that was only asked for')
}

async function roundTrip(codecName, codec) {
  const to = await topic(`round-trip-${codecName}`, 2)
  const sent = { 0: records(200, 'a'), 1: records(30, 'b') }
  for (const partition of [0, 1]) same(await produce(to, partition, sent[partition], codec), 0, 'first offset')
  same(await read(to), sent, 'records')
}

async function large() {
  const to = await topic('large', 1)
  const sent = [
    { key: Buffer.from('large'), value: randomBytes(900_000), headers: {} },
    { key: Buffer.from('after'), value: Buffer.from('small'), headers: {} },
  ]
  await produce(to, 0, sent)
  same(await read(to), { 0: sent }, 'records')
}

async function partitioner() {
  const to = await topic('keys', PARTITIONS)
  const partitions = []
  for (const key of KEYS) partitions.push((await producer.send({ topic: to, messages: [{ key, value: key }] }))[0].partition)
  console.log('partitions:', ...partitions)
  const found = Object.entries(await read(to)).flatMap(([partition, held]) => held.map(one => [String(one.key), Number(partition)]))
  same(KEYS.map(key => new Map(found).get(key)), partitions, 'partitions as read')
}

async function offsetsByTime() {
  const to = await topic('times', 1)
  await produce(to, 0, records(3, 't'))
  same((await admin.fetchTopicOffsetsByTimestamp(to, 1))[0].offset, '0', 'the offset at the beginning of time')
  // kafkajs answers the end where there is no record so late.
  same((await admin.fetchTopicOffsetsByTimestamp(to, Date.now() + 3_600_000))[0].offset, '8', 'the offset in an hour')
}

async function topicConfig() {
  const to = await topic('config', 1)
  const resource = { type: ConfigResourceTypes.TOPIC, name: to }
  const configEntries = [{ name: 'retention.ms', value: '86400000' }]
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
  await until('the topic has the new retention', async () => {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
    return resources[0].configEntries.find(entry => entry.configName === 'retention.ms').configValue === '86400000'
  })
}

async function createPartitions() {
  const to = await topic('grows', 1)
  await admin.createPartitions({ topicPartitions: [{ topic: to, count: 3 }] })
  await until('the topic has three partitions', async () => (await partitionCount(to)) === 3)
  same(await produce(to, 2, records(0, 'g')), 0, 'first offset')
}

async function deleteRecords() {
  const to = await topic('cut', 1)
  const sent = records(20, 'c')
  await produce(to, 0, sent)
  await admin.deleteTopicRecords({ topic: to, partitions: [{ partition: 0, offset: '10' }] })
  same(await read(to), { 0: sent.slice(10) }, 'records')
}

async function groupRebalance() {
  const to = await topic('group', 4)
  const groupId = `${name}-group`
  const everything = []
  for (let p = 0; p < 4; p++) everything.push(...places(p, await produce(to, p, records(20, `p${p}`)), 25))
  const all = [0, 1, 2, 3]
  const members = []
  try {
    const began = Date.now()
    const first = await join(groupId, to)
    members.push(first)
    await until('the first member has all partitions', () => isDeepStrictEqual(first.assignment, all))
    const took = Date.now() - began
    if (took > FIRST_ASSIGNMENT_MS) throw new Error(`the first assignment took ${took} ms, allowed are ${FIRST_ASSIGNMENT_MS}`)
    const second = await join(groupId, to)
    members.push(second)
    const shares = () => [first.assignment, second.assignment].sort()
    await until('the members share the partitions', () => {
      const [one, other] = shares()
      return one.length === 2 && isDeepStrictEqual([...one, ...other].sort(), all)
    })
    same(await describeGroup(groupId), ['Stable', shares()], 'the group')
    members.shift()
    await first.consumer.disconnect()
    await until('the second member has all partitions', () => isDeepStrictEqual(second.assignment, all))
    await until('the members were given every record', () => everything.every(one => first.seen.has(one) || second.seen.has(one)))
  } finally {
    for (const member of members) await member.consumer.disconnect()
  }
  await until('the group is empty', async () => isDeepStrictEqual(await describeGroup(groupId), ['Empty', []]))
}

async function groupResume() {
  const to = await topic('resume', 2)
  const groupId = `${name}-resume`
  for (const partition of [0, 1]) await produce(to, partition, records(20, `r${partition}`))
  const member = await join(groupId, to)
  try {
    await until('the member was given every record', () => member.seen.size === 50)
    await member.consumer.commitOffsets([
      { topic: to, partition: 0, offset: '7' },
      { topic: to, partition: 1, offset: '20' },
    ])
  } finally {
    await member.consumer.disconnect()
  }
  const reached = await committed(groupId, to)
  same(reached, { 0: 7, 1: 20 }, 'committed offsets')
  const lag = (await admin.fetchTopicOffsets(to)).map(one => [one.partition, Number(one.high) - reached[one.partition]])
  same(lag.sort(), [[0, 18], [1, 5]], 'lag')
  same((await admin.listGroups()).groups.some(group => group.groupId === groupId), true, 'the list of groups has the group')
  const next = await join(groupId, to)
  try {
    await until('the new member was given the rest', () => next.seen.size >= 23)
    same(next.seen, new Set([...places(0, 7, 25), ...places(1, 20, 25)]), 'records after the commit')
  } finally {
    await next.consumer.disconnect()
  }
  await until('the group is empty', async () => (await describeGroup(groupId))[0] === 'Empty')
  await admin.deleteGroups([groupId])
  await until('the group is gone', async () => !(await admin.listGroups()).groups.some(group => group.groupId === groupId))
}

// Runs the body with a producer of that transactional id.
async function transactional(suffix, body) {
  const settings = { transactionalId: `${name}-${suffix}`, idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false }
  const through = kafka.producer(settings)
  await through.connect()
  try {
    await body(through)
  } finally {
    await through.disconnect()
  }
}

async function transactionCommit() {
  const both = [await topic('tx-a', 1), await topic('tx-b', 1)]
  const sent = records(10, 'x')
  await transactional('commit', async through => {
    const transaction = await through.transaction()
    for (const to of both) await produce(to, 0, sent, CompressionTypes.None, transaction)
    await transaction.commit()
  })
  for (const to of both) same(await read(to), { 0: sent }, 'records of a committed transaction')
}

async function transactionAbort() {
  const to = await topic('tx-abort', 1)
  const [lost, kept] = [records(10, 'lost'), records(10, 'kept')]
  await transactional('abort', async through => {
    for (const [batch, end] of [[lost, 'abort'], [kept, 'commit'], [lost, 'abort']]) {
      const transaction = await through.transaction()
      await produce(to, 0, batch, CompressionTypes.None, transaction)
      await transaction[end]()
    }
  })
  same(await read(to), { 0: kept }, 'committed records')
  same((await read(to, true))[0].length, 45, 'all records')
}

async function transactionOffsets() {
  const to = await topic('tx-in', 1)
  const groupId = `${name}-tx-group`
  await produce(to, 0, records(10, 'i'))
  await transactional('offsets', async through => {
    for (const [offset, end, expected] of [['5', 'abort', {}], ['6', 'commit', { 0: 6 }], ['9', 'abort', { 0: 6 }]]) {
      const transaction = await through.transaction()
      await produce(to, 0, records(0, 'o'), CompressionTypes.None, transaction)
      await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic: to, partitions: [{ partition: 0, offset }] }] })
      await transaction[end]()
      same(await committed(groupId, to), expected, 'committed offsets')
    }
  })
}

async function transactionFencing() {
  const to = await topic('tx-fence', 1)
  const sent = records(3, 'new')
  let refused
  await transactional('fence', async old => {
    const late = await old.transaction()
    await produce(to, 0, records(3, 'old'), CompressionTypes.None, late)
    await transactional('fence', async through => {
      const transaction = await through.transaction()
      await produce(to, 0, sent, CompressionTypes.None, transaction)
      await transaction.commit()
    })
    refused = await late.commit().then(() => 'nothing at all', error => error.type || String(error))
  })
  if (!/EPOCH|FENCED/.test(refused)) throw new Error(`the old producer is not told that it is fenced, but: ${refused}`)
  same(await read(to), { 0: sent }, 'records')
}

async function deleteTopic() {
  // A producer that still knows a topic may ask for it again.
  await producer.disconnect()
  await admin.deleteTopics({ topics })
  for (const gone of topics) await until(`${gone} is gone`, async () => (await partitionCount(gone)) === 0)
}

async function main() {
  await admin.connect()
  await producer.connect()
  await check('create_topic', createTopic)
  for (const [codecName, codec] of CODECS) await check(`round_trip_${codecName}`, () => roundTrip(codecName, codec))
  await check('round_trip_large', large)
  await check('partitioner', partitioner)
  await check('offsets_by_time', offsetsByTime)
  await check('topic_config', topicConfig)
  await check('create_partitions', createPartitions)
  await check('delete_records', deleteRecords)
  await check('group_rebalance', groupRebalance)
  await check('group_resume', groupResume)
  await check('transaction_commit', transactionCommit)
  await check('transaction_abort', transactionAbort)
  await check('transaction_offsets', transactionOffsets)
  await check('transaction_fencing', transactionFencing)
  await check('delete_topic', deleteTopic)
}

// A call that never comes back ends the run all the same.
setTimeout(() => {
  console.log(`FAIL run not done in ${RUN_MS} ms\n${passed} passed, ${failed + 1} failed`)
  process.exit(1)
}, RUN_MS)
main()
  .catch(error => {
    failed += 1
    console.log(`FAIL run ${String(error).replace(/\s+/g, ' ')}`)
  })
  .finally(() => {
    console.log(`${passed} passed, ${failed} failed`)
    process.exit(failed ? 1 : 0)
  })
