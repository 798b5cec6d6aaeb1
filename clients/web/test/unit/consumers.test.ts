/** Applications of every kind of module find all entries of the package, and their types. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';

const folder = '.build/consumers';
const entries = { '': 'RealtimeWebSocketClient', '/outbox': 'Outbox', '/react': 'RealtimeProvider', '/server': 'publishRealtimeEvent' };
const names = Object.entries(entries).map(([entry, name]) => [`@avalo/realtime${entry}`, name] as const);

before(() => {
  rmSync(folder, { recursive: true, force: true });
  const modules = join(folder, 'node_modules');
  const { files } = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const name of ['package.json', ...files]) cpSync(name, join(modules, '@avalo/realtime', name), { recursive: true });
  const react = dirname(require.resolve('react'));
  symlinkSync(react, join(modules, 'react'));
  symlinkSync(join(dirname(react), '@types'), join(modules, '@types'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Makes an application with one file, and answers its folder. */
function application(name: string, type: string, file: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, 'package.json'), JSON.stringify({ type }));
  writeFileSync(join(path, file), text);
  return path;
}

function compile(cwd: string, options: object, file: string): void {
  const compilerOptions = { strict: true, noEmit: true, target: 'es2022', types: [], noUncheckedIndexedAccess: true, ...options };
  writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
  try {
    execFileSync('tsc', ['-p', '.'], { cwd, encoding: 'utf8' });
  } catch (thrown) {
    assert.fail((thrown as { stdout: string }).stdout);
  }
}

test('Node requires and imports each entry', () => {
  const uses = names.map(([path, name]) => `if (typeof all['${path}'].${name} !== 'function') throw new Error('${path}');`).join('\n');
  const required = names.map(([path]) => `'${path}': require('${path}')`).join(', ');
  const imported = names.map(([path]) => `'${path}': await import('${path}')`).join(', ');
  const old = application('require', 'commonjs', 'main.js', `const all = { ${required} };\n${uses}`);
  const now = application('import', 'module', 'main.js', `const all = { ${imported} };\n${uses}`);
  for (const cwd of [old, now]) execFileSync('node', ['main.js'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
});

test('a bundler finds what each entry needs, also where this folder is linked instead of installed', () => {
  const text = names.map(([path, name]) => `import { ${name} } from '${path}'; console.log(${name});`).join('\n');
  const installed = application('bundled', 'module', 'main.js', text);
  const linked = application('linked', 'module', 'main.js', text);
  mkdirSync(join(linked, 'node_modules/@avalo'), { recursive: true });
  symlinkSync(process.cwd(), join(linked, 'node_modules/@avalo/realtime'));
  for (const cwd of [installed, linked]) {
    execFileSync('esbuild', ['main.js', '--bundle', '--outfile=out.js', '--log-level=error', '--define:process.env.NODE_ENV="production"'], {
      cwd, stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
});

test('the hooks say that they are not for a server', () => {
  for (const path of ['dist/react.min.mjs', 'dist/cjs/react.js']) assert.match(readFileSync(path, 'utf8'), /^'use client';\n/);
});

const text = names.map(([path, name]) => `import { ${name} } from '${path}';`).join('\n')
  + `
import { createElement } from 'react';
const client = new RealtimeWebSocketClient();
// Of one client in all entries.
export const all = [new Outbox(client), createElement(RealtimeProvider, { client, userId: null }), publishRealtimeEvent];
`;
const page = ['es2022', 'dom', 'dom.iterable'];
const modules: Record<string, [type: string, options: object]> = {
  'CommonJS of today': ['commonjs', { module: 'node16', moduleResolution: 'node16', lib: page }],
  'ES modules of today': ['module', { module: 'node16', moduleResolution: 'node16', lib: page }],
  'the older resolution': ['commonjs', { module: 'commonjs', moduleResolution: 'node', lib: page }],
  'the older resolution, for a bundler': ['module', { module: 'es2022', moduleResolution: 'node', lib: page }],
};
for (const [name, [type, options]] of Object.entries(modules)) {
  test(`the compiler finds all types: ${name}`, () => {
    compile(application(name, type, 'main.ts', text), { ...options, skipLibCheck: true }, 'main.ts');
  });
}

test('a backend needs no types but the language\'s', () => {
  const server = `import { publishRealtimeEvent, RealtimeServer } from '@avalo/realtime/server';
    export const all = [publishRealtimeEvent, new RealtimeServer({ url: 'http://rt.test' })];`;
  for (const type of ['commonjs', 'module']) {
    compile(application(`backend ${type}`, type, 'main.ts', server), { module: 'node16', moduleResolution: 'node16', lib: ['es2022'] }, 'main.ts');
  }
});
