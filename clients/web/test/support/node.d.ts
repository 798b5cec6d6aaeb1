/** As much of Node's own modules as the tests use; Debian has no package of their types. */
declare function setImmediate(run: (value?: any) => void): unknown;
declare module 'node:test' {
  type Body = (context: any) => void | Promise<void>;
  export function test(name: string, body: Body): void;
  export function test(name: string, options: { timeout?: number; skip?: boolean | string }, body: Body): void;
  export function describe(name: string, body: () => void): void;
  export function before(body: () => void | Promise<void>): void;
  export function after(body: () => void | Promise<void>): void;
  export function beforeEach(body: () => void | Promise<void>): void;
  export function afterEach(body: () => void | Promise<void>): void;
}
declare module 'node:assert/strict' {
  const assert: {
    (value: unknown, message?: string): asserts value;
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    match(text: string, pattern: RegExp, message?: string): void;
    rejects(promise: Promise<unknown>, expected?: object | RegExp): Promise<void>;
    throws(body: () => unknown, expected?: object | RegExp): void;
    fail(message: string): never;
  };
  export default assert;
}
declare module 'node:fs' {
  export function readFileSync(path: string, encoding: 'utf8'): string;
  export function readFileSync(path: string): Uint8Array;
  export function writeFileSync(path: string, data: string | Uint8Array): void;
  export function readdirSync(path: string): string[];
  export function existsSync(path: string): boolean;
  export function mkdtempSync(prefix: string): string;
  export function rmSync(path: string, options?: object): void;
  export function mkdirSync(path: string, options?: object): void;
  export function cpSync(from: string, to: string, options?: object): void;
  export function symlinkSync(target: string, path: string): void;
}
declare module 'node:zlib' {
  export function gzipSync(data: Uint8Array, options?: { level?: number }): Uint8Array;
}
declare module 'node:os' {
  export function tmpdir(): string;
}
declare module 'node:path' {
  export function join(...parts: string[]): string;
  export function extname(path: string): string;
  export function dirname(path: string): string;
}
declare module 'node:child_process' {
  export function spawn(command: string, args: string[], options?: any): any;
  export function execFileSync(command: string, args: string[], options?: any): string;
}
declare module 'node:crypto' {
  export function randomBytes(size: number): any;
  export function createHmac(algorithm: string, key: any): any;
  export function createHash(algorithm: string): any;
}
declare module 'node:http' {
  export function request(options: any, answered?: (response: any) => void): any;
  export function createServer(handler: (request: any, response: any) => void): any;
}
declare module 'node:net' {
  export function connect(port: number, host: string): any;
  export function createServer(handler: (socket: any) => void): any;
}
declare const process: any;
declare const require: any;
declare const Buffer: any;
