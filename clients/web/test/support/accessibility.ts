/** What everybody must be able to do with a page. */
import type { Page } from './chromium.js';

/** The roles of what a person uses and a screen reader could not name. */
export async function namelessControls(page: Page): Promise<string[]> {
  const { nodes } = await page.send('Accessibility.getFullAXTree');
  return nodes.filter((node: any) =>
    ['button', 'textbox', 'combobox', 'link', 'img', 'log', 'region'].includes(node.role?.value) && !node.ignored && !node.name?.value)
    .map((node: any) => node.role.value);
}

/** Runs in the page: the contrast of every text with what lies behind it. */
export const contrasts = `() => {
  const channels = color => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const color = channels(getComputedStyle(one).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest('template, option')) continue;
    const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(behind(element))].sort((x, y) => y - x);
    found.push({ ratio: Math.round((a + .05) / (b + .05) * 100) / 100, text: node.data.trim() });
  }
  return found;
}`;
