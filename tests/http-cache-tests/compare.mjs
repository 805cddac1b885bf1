// Compares runs of http-cache-tests and writes the table. Called by scripts/http-cache-tests:
//   node compare.mjs SUITE RESULTS FAILING TABLE NAME=VERSION…
// RESULTS has NAME.json for each of those who were asked, and none.json for the origin without a cache.
import fs from 'node:fs'
import path from 'node:path'

const [suite, results, failing, table, ...versions] = process.argv.slice(2)
const { default: groups } = await import(path.join(suite, 'tests/index.mjs'))
const { determineTestResult } = await import(path.join(suite, 'lib/display.mjs'))

const OURS = 'ringback'
const names = { none: 'no cache', nginx: 'nginx', trafficserver: 'Traffic Server', ringback: 'Ringback' }
const peers = ['nginx', 'trafficserver']
const version = Object.fromEntries(versions.map(version => version.split('=')))

// The tests of shared caches, by kind. What says nothing of its kind is required.
const tests = groups.flatMap(group => group.tests).filter(test => !test.browser_only)
const ofKind = kind => tests.filter(test => (test.kind ?? 'required') === kind)
const kinds = { required: ofKind('required'), optimal: ofKind('optimal'), check: ofKind('check') }

const runs = Object.fromEntries(Object.keys(names).map(name =>
  [name, JSON.parse(fs.readFileSync(path.join(results, `${name}.json`)))]))
// A pass is the suite's own verdict; failures of the set-up and of what a test depends on are none.
const passes = (name, test) => ['✅', 'Y'].includes(determineTestResult(groups, test.id, runs[name])[2])
const passing = (name, kind) => kinds[kind].filter(test => passes(name, test)).length
const nobody = test => [...peers, OURS].every(name => !passes(name, test))

const reasons = new Map(fs.readFileSync(failing, 'utf8').split('\n')
  .filter(line => line.trim() && !line.startsWith('#'))
  .map(line => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]))

const counted = [...kinds.required, ...kinds.optimal]
const failed = counted.filter(test => !passes(OURS, test))
const ownFailures = failed.filter(test => !nobody(test))

const row = cells => `| ${cells.join(' | ')} |`
const columns = ['none', ...peers, OURS]
const head = columns.map(name => [names[name], version[name]].filter(Boolean).join(' '))
const lines = []
const say = (...text) => lines.push(...text)

say('# http-cache-tests', '',
  'What the public suite [http-cache-tests](https://cache-tests.fyi) 0.4.5 says of the reverse proxy, beside others and beside no cache at all.',
  'Made by `make http-cache-tests`; configurations in `tests/http-cache-tests`. Only a pass counts: failures of the set-up and of tests that a test',
  'depends on are failures too. Without a cache those pass that ask for nothing to be kept.', '')
say(row(['passing', ...head]), row(['---', ...head.map(() => '---:')]))
for (const kind of ['required', 'optimal']) {
  say(row([`${kind}, of ${kinds[kind].length}`, ...columns.map(name => `${passing(name, kind)}`)]))
}
say(row([`questions of behaviour answered "yes", of ${kinds.check.length} (neither is wrong)`,
  ...columns.map(name => `${passing(name, 'check')}`)]), '')

say('## What Ringback fails', '')
say(row(['test', 'kind', ...peers.map(name => names[name]), 'why']), row(['---', '---', ...peers.map(() => '---'), '---']))
const verdict = (name, test) => passes(name, test) ? 'passes' : 'fails'
for (const test of ownFailures) {
  say(row([`\`${test.id}\``, test.kind ?? 'required', ...peers.map(name => verdict(name, test)),
    reasons.get(test.id) ?? '**not explained**']))
}

say('', '## What nobody passes', '')
for (const test of counted.filter(nobody)) {
  const why = reasons.get(test.id)
  say(`- \`${test.id}\` (${test.kind ?? 'required'}): ${why ?? test.name}`)
}
say('', '## Each test', '', '`+` passes, `-` does not.', '')
say(row(['test', 'kind', ...columns.map(name => names[name])]), row(['---', '---', ...columns.map(() => ':---:')]))
for (const test of counted) {
  say(row([`\`${test.id}\``, test.kind ?? 'required', ...columns.map(name => passes(name, test) ? '+' : '-')]))
}
fs.writeFileSync(table, lines.join('\n') + '\n')

for (const kind of ['required', 'optimal']) {
  const all = kinds[kind].length
  console.log(`   ${kind}: ` + columns.map(name => `${names[name]} ${passing(name, kind)}`).join(', ') + ` of ${all}`)
}
const unexplained = failed.filter(test => !reasons.has(test.id))
const mended = [...reasons.keys()].filter(id => !failed.some(test => test.id === id))
for (const id of mended) console.log(`   ${id} passes: take its line out of ${path.basename(failing)}`)
for (const test of unexplained) console.error(`error: ${test.id} fails: ${JSON.stringify(runs[OURS][test.id])}`)
process.exit(unexplained.length === 0 && mended.length === 0 ? 0 : 1)
