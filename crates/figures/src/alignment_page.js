// The shade of a word is its attention; the darkest still leaves the text readable.
const DARKEST = 0.8;
// Words that the line below names: at most so many, and none with less than this.
const NAMED = 5, LEAST = 0.05;

const sides = section => [...section.querySelectorAll('.tokens')].map(side => [...side.querySelectorAll('span')]);

function show(token) {
  const section = token.closest('section'), [source, output] = sides(section);
  // Thousandths, one row for each output token; a source token has its column.
  const attention = JSON.parse(section.dataset.attention);
  const row = output.indexOf(token), column = source.indexOf(token);
  clear(section);
  const others = row >= 0 ? source : output;
  const shares = others.map((_, at) => (row >= 0 ? attention[row][at] : attention[at][column]) / 1000);
  others.forEach((other, at) => other.style.setProperty('--share', shares[at] * DARKEST));
  token.classList.add('chosen');
  const named = others.map((other, at) => [shares[at], other.textContent])
    .filter(([share]) => share >= LEAST).sort(([a], [b]) => b - a).slice(0, NAMED)
    .map(([share, word]) => `${word}\u00a0${share.toFixed(2)}`);
  section.querySelector('.strongest').textContent =
    `${token.textContent} ${row >= 0 ? '←' : '→'} ${named.join(', ') || 'nothing above ' + LEAST}`;
}

function clear(section) {
  for (const token of sides(section).flat()) {
    token.style.removeProperty('--share');
    token.classList.remove('chosen');
  }
  section.querySelector('.strongest').textContent = '';
}

// One stop of the tab key for each line; arrows move within it and to the other line.
function move(token, key) {
  const [source, output] = sides(token.closest('section'));
  const [own, other] = output.includes(token) ? [output, source] : [source, output];
  const at = own.indexOf(token);
  const next = { ArrowLeft: own[at - 1], ArrowRight: own[at + 1], Home: own[0], End: own[own.length - 1],
    ArrowUp: own === output && (other[at] || other[other.length - 1]),
    ArrowDown: own === source && (other[at] || other[other.length - 1]) }[key];
  if (!next) return false;
  for (const [from, to] of [[token, -1], [next, 0]]) from.tabIndex = to;
  if (!own.includes(next)) token.tabIndex = 0, other.forEach(word => word.tabIndex = word === next ? 0 : -1);
  next.focus();
  return true;
}

const tokenOf = event => event.target.closest && event.target.closest('.tokens span');
for (const kind of ['pointerover', 'focusin', 'click']) {
  document.addEventListener(kind, event => { const token = tokenOf(event); if (token) show(token); });
}
for (const kind of ['pointerout', 'focusout']) {
  document.addEventListener(kind, event => {
    const token = tokenOf(event);
    // A finger that is lifted leaves the shades; a mouse that moves away gives them back to the focus.
    if (!token || event.pointerType === 'touch') return;
    const section = token.closest('section'), focused = section.querySelector('.tokens span:focus');
    if (focused && kind === 'pointerout') show(focused); else clear(section);
  });
}
document.addEventListener('keydown', event => {
  const token = tokenOf(event);
  if (token && !event.ctrlKey && !event.altKey && !event.metaKey && move(token, event.key)) event.preventDefault();
});
