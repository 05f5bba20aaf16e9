/* wall.js: the cards in rows. Only those in sight, and a few rows around them, are elements; all
 * others are empty room. */
const wall = {
  cards: new Map(), /* place in view.shown -> li */
  active: 0,        /* the one that Tab reaches */
  gap: 14,
  below: 48,     /* pixels: between cards; of the words below a picture, */
  line: 19,      /* and of one more line, where a picture has a class and a text */
  tallest: 12e6, /* pixels: no browser makes an element much taller */

  node() { return ui.id('wall'); },

  measure() {
    const width = wall.node().clientWidth;
    const size = Math.min(view.state.size, (width - wall.gap) / 2); /* two columns on a phone */
    wall.columns = Math.max(1, Math.floor((width + wall.gap) / (size + wall.gap)));
    wall.side = Math.floor((width + wall.gap) / wall.columns) - wall.gap;
    const lines = gallery.answered && gallery.run.texts.length ? 1 : 0;
    wall.row = wall.side + wall.below + lines * wall.line + wall.gap;
    const most = Math.floor(wall.tallest / wall.row) * wall.columns;
    wall.count = Math.min(view.shown.length, most);
    wall.node().style.height = Math.ceil(wall.count / wall.columns) * wall.row + 'px';
  },

  /* The pictures on show are others, or have another order; those who read begin at their first. */
  reset() {
    wall.active = 0;
    wall.renew();
    if (wall.top() < 0)
      wall.reveal(0, 'start');
    wall.draw();
  },

  renew() {
    wall.cards.forEach((item) => item.remove());
    wall.cards.clear();
    wall.measure();
    wall.draw();
  },

  /* The same ones, at another place or with another map. */
  resize() {
    const at = wall.first();
    wall.measure();
    wall.cards.forEach((item, i) => wall.place(item, i));
    if (at > 0)
      wall.reveal(at, 'start');
    wall.draw();
  },

  top() { return wall.node().getBoundingClientRect().top; },

  first() {
    return wall.row ? Math.max(0, Math.floor(-wall.top() / wall.row)) * wall.columns : 0;
  },

  place(item, i) {
    const row = Math.floor(i / wall.columns), column = i % wall.columns;
    item.style.width = wall.side + 'px';
    item.style.height = wall.row - wall.gap + 'px';
    item.style.transform = `translate(${column * (wall.side + wall.gap)}px, ${row * wall.row}px)`;
  },

  add(i) {
    const picture = view.shown[i];
    const item = card.make(picture, () => detail.open(wall.placeOf(item)));
    item.dataset.at = i;
    item.setAttribute('aria-setsize', wall.count);
    item.setAttribute('aria-posinset', i + 1);
    wall.place(item, i);
    wall.cards.set(i, item);
    return item;
  },

  placeOf(item) { return Number(item.dataset.at); },

  /* Which places are in sight: [from, to). */
  sight() {
    const top = -wall.top();
    const from = Math.floor(top / wall.row) - 1;
    const to = Math.ceil((top + innerHeight) / wall.row) + 1;
    return [Math.max(0, from * wall.columns), Math.min(wall.count, to * wall.columns)];
  },

  draw() {
    const [from, to] = wall.sight();
    const kept = (i) => (i >= from && i < to) || (i === wall.active && i < wall.count);
    for (const [i, item] of wall.cards)
      if (!kept(i)) {
        item.remove();
        wall.cards.delete(i);
      }
    for (let i = from; i < to; i++)
      if (!wall.cards.has(i))
        wall.insert(i);
    if (wall.active < wall.count && !wall.cards.has(wall.active))
      wall.insert(wall.active);
    for (const [i, item] of wall.cards) {
      item.firstChild.tabIndex = i === wall.active ? 0 : -1;
      card.fill(item.querySelector('.shot'), view.shown[i], view.state.map);
      card.caption(item, view.shown[i], view.state.map);
    }
  },

  /* In the order of the pictures, as a screen reader reads them. */
  insert(i) {
    let behind = null;
    for (const item of wall.node().children)
      if (wall.placeOf(item) > i) {
        behind = item;
        break;
      }
    wall.node().insertBefore(wall.add(i), behind);
  },

  later() {
    if (!wall.asked)
      wall.asked = requestAnimationFrame(() => {
        wall.asked = 0;
        wall.draw();
      });
  },

  reveal(i, how) {
    const y = wall.top() + Math.floor(i / wall.columns) * wall.row;
    const head = ui.id('count').parentElement.getBoundingClientRect();
    const covered =
      getComputedStyle(ui.id('count').parentElement).position === 'sticky' ? head.height : 0;
    if (how === 'start' || y < covered + 8)
      scrollBy(0, y - covered - 8);
    else if (y + wall.row > innerHeight)
      scrollBy(0, y + wall.row - innerHeight);
  },

  focus(i) {
    if (!wall.count)
      return;
    wall.active = Math.min(wall.count - 1, Math.max(0, i));
    wall.reveal(wall.active);
    wall.draw();
    wall.cards.get(wall.active).firstChild.focus({preventScroll: true});
  },

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || e.shiftKey || !e.target.closest('li'))
      return;
    const page = Math.max(1, Math.floor(innerHeight / wall.row) - 1) * wall.columns;
    const step = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -wall.columns,
      ArrowDown: wall.columns,
      PageUp: -page,
      PageDown: page,
      Home: -Infinity,
      End: Infinity
    }[e.key];
    if (step === undefined)
      return;
    e.preventDefault();
    const to = wall.placeOf(e.target.closest('li')) + step;
    if (Math.abs(step) === 1 || !Number.isFinite(step) || Math.abs(step) === page ||
      (to >= 0 && to < wall.count))
      wall.focus(to);
  },

  start() {
    addEventListener('scroll', wall.later, {passive: true});
    new ResizeObserver(() => wall.node().clientWidth !== wall.width && wall.widened())
      .observe(wall.node());
    wall.node().addEventListener('keydown', wall.key);
    wall.node().addEventListener('focusin', (e) => {
      const item = e.target.closest('li');
      if (item) {
        wall.active = wall.placeOf(item);
        wall.later();
      }
    });
  },

  widened() {
    wall.width = wall.node().clientWidth;
    if (view.state)
      wall.resize();
  },
};
