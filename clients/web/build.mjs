/**
 * Builds the client and its tests with the `tsc` and `esbuild` on the PATH.
 *
 *   node build.mjs            dist/: bundles, source maps, types
 *   node build.mjs tests KIND compiles the tests of a kind and says where they are
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
// Where Debian keeps React.
const env = { ...process.env, NODE_PATH: [process.env.NODE_PATH, '/usr/share/nodejs'].filter(Boolean).join(':') };
const run = (tool, ...args) => execFileSync(tool, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
const esbuild = (...args) => run('esbuild', '--bundle', '--log-level=warning', ...args);

/** By the names under which `package.json` offers them. */
const entries = {
  avalo: 'src/index.ts', outbox: 'src/outbox/index.ts', server: 'src/server/index.ts', react: 'src/react/index.ts',
};

/** Names of the machinery within, spelled out here and short in the bundles: nothing of the wire or of what is offered. */
const internal = [
  'acks', 'alive', 'attemptMs', 'attempts', 'available', 'began', 'caller', 'changed', 'closed', 'complain', 'drop', 'emit', 'emitter',
  'ended', 'flush', 'force', 'forget', 'frame', 'generation', 'hasRoom', 'heard', 'hooks', 'inFlight', 'isDuplex', 'isPast',
  'isRefreshable', 'isShut', 'joining', 'ladder', 'last', 'leave', 'log', 'lost', 'machine', 'missed', 'newToken', 'nextProbe',
  'overSocket', 'phase', 'pings', 'probe', 'processed', 'reopen', 'roundTrip', 'rung', 'runner', 'sendText', 'settle', 'skip', 'source',
  'take', 'timer', 'tokenFailed', 'tokenReady', 'tokens', 'upgrade', 'wasTried', 'why',
];

export function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('tsc', '-p', '.');
  const common = ['--minify', '--sourcemap', '--target=es2022', '--external:react', `--mangle-props=^(${internal.join('|')})$`];
  for (const [name, source] of Object.entries(entries)) {
    // A framework with a server is told that hooks are not for it.
    const banner = name === 'react' ? [`--banner:js='use client';`] : [];
    esbuild(source, '--format=esm', `--outfile=dist/${name}.min.mjs`, ...common, ...banner);
    esbuild(source, '--format=cjs', `--outfile=dist/cjs/${name}.js`, ...common, ...banner);
  }
  // For `require`: what is below is CommonJS, its types as well.
  writeFileSync(join(root, 'dist/cjs/package.json'), '{"type":"commonjs"}\n');
  run('tsc', '-p', '.', '--outDir', 'dist/cjs/types');
  esbuild('src/index.ts', '--format=iife', '--global-name=Avalo', '--outfile=dist/avalo.iife.min.js', ...common);
}

/** Takes the README's examples out of it, so that they are checked and run like everything else: as one function, and a page. */
function extractExamples() {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const blocksIn = language => [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(match => match[1]).join('\n');
  mkdirSync(join(root, '.build/readme'), { recursive: true });
  writeFileSync(join(root, '.build/readme/examples.ts'), `
import { ConnectionState, type EventDraft, RealtimeError, RealtimeEventType, RealtimeWebSocketClient } from '../../src/index.js';
import { Outbox } from '../../src/outbox/index.js';
import { broadcastToUsers, publishRealtimeEvent } from '../../src/server/index.js';

export async function examples(
  url: string, userId: string, getToken: (force: boolean) => string, show: (...all: unknown[]) => void,
) {
${blocksIn('ts').replace(/^import .*\n/gm, '')}
return { client, outbox, denied, unwatch, eventId };
}
`);
  writeFileSync(join(root, '.build/readme/page.tsx'), blocksIn('tsx')
    .replace(/'@avalo\/realtime\/(\w+)'/g, "'../../src/$1/index.js'").replace(/'@avalo\/realtime'/g, "'../../src/index.js'"));
}

/** Answers the folder of the compiled tests. */
export function buildTests(kind) {
  const out = join(root, '.build', kind);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  extractExamples();
  run('tsc', '-p', 'test');
  const sources = readdirSync(join(root, 'test', kind)).filter(name => name.endsWith('.test.ts'));
  esbuild(...sources.map(name => `test/${kind}/${name}`), '--platform=node', '--target=node18', '--format=cjs',
    '--sourcemap=inline', '--jsx=automatic',
    '--external:react', '--external:react-dom', '--external:react-test-renderer', '--out-extension:.js=.cjs', `--outdir=${out}`);
  return out;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === 'tests') console.log(buildTests(process.argv[3]));
  else build();
}
