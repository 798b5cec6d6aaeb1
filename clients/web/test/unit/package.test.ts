import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

/** The tests run in the package's folder, after it was built. */
const read = (path: string) => readFileSync(path, 'utf8');

test('the core is at most 10 kB, minified and compressed', () => {
  const bytes = gzipSync(readFileSync('dist/avalo.min.mjs'), { level: 9 }).length;
  assert(bytes <= 10_000, `${bytes} bytes`);
});

test('no name that the bundles shorten is one that is offered', () => {
  const names = [.../const internal = \[(.*?)\]/s.exec(read('build.mjs'))![1]!.matchAll(/'(\w+)'/g)].map(match => match[1]!);
  assert(names.length > 10);
  const offered = ['client', 'environment', 'errors', 'outbox/index', 'outbox/entry', 'react/index', 'server/index',
    ...readdirSync('src/types').map(name => `types/${name.slice(0, -3)}`)];
  for (const path of offered) {
    const members = [...read(`dist/types/${path}.d.ts`).matchAll(/(\w+)\??(?:: |\(|<)/g)].map(match => match[1]);
    assert.deepEqual(names.filter(name => members.includes(name)), [], path);
  }
});

test('what React calls `current` is called so in its bundle, which React reads and writes as well', () => {
  const bundle = read('dist/react.min.mjs');
  assert.equal(bundle.match(/\.current\b/g)?.length, read('src/react/index.ts').match(/\.current\b/g)?.length);
});

test('everything that the package offers is there', () => {
  const { exports, main, module, types, unpkg } = JSON.parse(read('package.json'));
  const leaves = (one: any): string[] => (typeof one === 'string' ? [one] : Object.values(one).flatMap(leaves));
  const paths = [main, module, types, unpkg, ...leaves(exports)];
  assert(paths.length > 20);
  for (const path of paths) assert(existsSync(path), path);
  // For those who do not read `exports` each entry has a folder, which says the same.
  for (const entry of Object.keys(exports).filter(name => /^\.\/\w+$/.test(name))) {
    const { main, module, types } = JSON.parse(read(`${entry}/package.json`));
    const { import: esm, require: cjs } = exports[entry];
    assert.deepEqual([main, module, types], [cjs.default, esm.default, cjs.types].map(path => `.${path}`));
  }
});

test('the package grants what the repository does, which states no licence', () => {
  assert.equal(JSON.parse(read('package.json')).license, 'UNLICENSED');
  assert.equal(existsSync('../../LICENSE'), false);
});

test('no bundle needs another package at run time, and each has its source map', () => {
  assert.equal(JSON.parse(read('package.json')).dependencies, undefined);
  const bundles = ['', 'cjs/'].flatMap(folder => readdirSync(`dist/${folder}`).filter(name => /\.m?js$/.test(name)).map(name => folder + name));
  assert(bundles.length > 8);
  for (const name of bundles) {
    const text = read(`dist/${name}`);
    const imports = [...text.matchAll(/\b(?:from|import|require)\s*\(?"([^"]+)"/g)].map(match => match[1]);
    assert.deepEqual(imports.filter(one => one !== 'react'), [], name);
    assert(existsSync(`dist/${name}.map`), name);
  }
});

test('the script for pages without modules brings all in one name', () => {
  const Avalo = new Function(`${read('dist/avalo.iife.min.js')}; return Avalo;`)();
  assert.equal(Avalo.RealtimeEventType.CHAT_MESSAGE, 'chat_message');
  assert.equal(new Avalo.RealtimeWebSocketClient({ deviceId: 'd' }).getState(), 'disconnected');
});

test('what `debug` tells has its names in the bundles, too', () => {
  const Avalo = new Function(`${read('dist/avalo.iife.min.js')}; return Avalo;`)();
  const told: object[] = [];
  const { debug } = console;
  console.debug = (_, facts) => void told.push(facts);
  try {
    const environment = { isOnline: () => false, watch: () => () => {} };
    const client = new Avalo.RealtimeWebSocketClient({ deviceId: 'd', url: 'https://rt.test', debug: true, environment });
    client.connect('ann', 'token').catch(() => {});
    client.disconnect();
  } finally {
    console.debug = debug;
  }
  assert.deepEqual(Object.keys(told[0]!), ['attempts', 'reason', 'transport']);
});

test('every file can be explained, and every bound has its reason', () => {
  const walk = (folder: string): string[] => readdirSync(folder).flatMap(name =>
    name.includes('.') ? [`${folder}/${name}`] : walk(`${folder}/${name}`));
  for (const path of walk('src')) {
    const lines = read(path).split('\n');
    assert(lines.length <= 400, `${path} has ${lines.length} lines`);
    for (const line of lines) assert(line.length <= 140, `${path}: ${line}`);
  }
  const bounds = read('src/limits.ts').split('\n');
  bounds.forEach((line, i) => line.startsWith('export') && assert(bounds[i - 1]!.includes('*/'), line));
});
