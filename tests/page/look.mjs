// What a person who checks a page for others would check, written out: run in the page, each returns what is wrong.

// Text against what lies behind it, as WCAG 2 reckons: 4.5, or 3 where the letters are large.
export function faint() {
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((value) => {
      const v = value / 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.a === 1) return colour.rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (walker.currentNode.textContent.trim() === '' || !node.checkVisibility({ visibilityProperty: true }) || node.closest('.unseen, .skip, noscript')) continue;
    const css = getComputedStyle(node);
    const [a, b] = [light(parse(css.color).rgb), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(css.fontSize) >= 24 || (parseFloat(css.fontSize) >= 18.66 && Number(css.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`"${walker.currentNode.textContent.trim().slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return found;
}

// Names, roles and order for who listens to a page or moves by keys.
export function unnamed() {
  const found = [];
  const shown = (node) => node.checkVisibility();
  const name = (node) => (node.getAttribute('aria-label') ?? '') || [...(node.labels ?? [])].map((label) => label.textContent).join('') ||
    (node.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join('') || node.textContent.trim();
  const need = (selector, what) => {
    for (const node of document.querySelectorAll(selector)) if (shown(node) && name(node).trim() === '') found.push(`${what} without a name: ${node.outerHTML.slice(0, 80)}`);
  };
  need('button, a[href], summary', 'a control');
  need('input', 'an input');
  need('[role=progressbar], [role=group], [role=search] input, section, nav', 'a part');
  if (!document.documentElement.lang) found.push('the page has no language');
  if (document.title.trim() === '') found.push('the page has no title');
  for (const landmark of ['header', 'main', 'footer', 'nav']) if (document.querySelectorAll(landmark).length !== 1) found.push(`not one ${landmark}`);
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
  let level = 1;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) found.push(`a heading is skipped before ${heading.textContent}`);
    level = now;
  }
  const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => found.push(`two things have the id ${id}`));
  for (const node of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
    for (const key of ['aria-labelledby', 'aria-describedby']) {
      for (const id of (node.getAttribute(key) ?? '').split(' ').filter(Boolean)) if (!document.getElementById(id)) found.push(`${key} names ${id}, which is not there`);
    }
  }
  document.querySelectorAll('th:not([scope])').forEach((cell) => found.push(`a header without a scope: ${cell.textContent}`));
  document.querySelectorAll('table:not(:has(caption))').forEach((table) => found.push(`a table without a caption: ${table.id}`));
  document.querySelectorAll('img:not([alt])').forEach((image) => found.push(`an image without words: ${image.src}`));
  document.querySelectorAll('[tabindex]').forEach((node) => Number(node.tabIndex) > 0 && found.push(`an order of its own: ${node.outerHTML.slice(0, 60)}`));
  if (!document.querySelector('[aria-live=polite]')) found.push('rounds are not told to who listens');
  return found;
}

// What sticks out to the right. What scrolls within a frame of its own may be wide.
export function wide() {
  const found = [];
  if (document.documentElement.scrollWidth > window.innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const node of document.body.querySelectorAll('*')) {
    if (!node.checkVisibility() || node.closest('.heat, .uplot, .unseen, .skip')) continue;
    const { right, width } = node.getBoundingClientRect();
    if (width > 0 && right > window.innerWidth + 1) found.push(`${node.tagName.toLowerCase()}#${node.id || node.className} ends at ${Math.round(right)}`);
  }
  return found;
}

// What a finger has to hit is not smaller than a line of text.
export function small() {
  return [...document.querySelectorAll('button, a[href], input, summary')].filter((node) => node.checkVisibility() && !node.closest('.skip'))
    .map((node) => [node, (node.closest('label') ?? node).getBoundingClientRect()]).filter(([, box]) => box.height < 18 || box.width < 18)
    .map(([node, box]) => `${node.outerHTML.slice(0, 50)} ${Math.round(box.width)}x${Math.round(box.height)}`);
}
