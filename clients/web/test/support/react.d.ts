/** Types that Debian has no package of, or only in parts. */
declare module 'react-dom/server' {
  export function renderToString(element: unknown): string;
}
declare module 'react-test-renderer' {
  export function act(body: () => Promise<void>): Promise<void>;
  export function create(element: unknown): any;
}
