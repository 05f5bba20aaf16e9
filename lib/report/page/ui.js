/* ui.js: small parts that the others are made of. */
const ui = {
  id: (name) => document.getElementById('vx-' + name),

  /* An element with text. Text goes in by textContent alone: names are data, never markup. */
  make(tag, className, text) {
    const node = document.createElement(tag);
    if (className)
      node.className = className;
    if (text !== undefined && text !== null)
      node.textContent = text;
    return node;
  },

  /* A name from a model or a file, whatever direction its script runs in. Nobody reads more than
   * this much of it; the numbers for download have all. */
  named(text, className) {
    const node = ui.make('bdi', className, ui.short(text, 300));
    if (node.textContent !== String(text))
      node.title = ui.short(text, 2000);
    return node;
  },

  /* A line may end behind a stroke of a long name, rather than anywhere. */
  broken(node) {
    const parts = node.textContent.split(/(?<=[_/-])/);
    node.replaceChildren(...parts.flatMap((part, i) => i ? [ui.make('wbr'), part] : [part]));
    return node;
  },

  short(text, most) {
    const all = Array.from(String(text).slice(0, 2 * most));
    return all.length > most ? all.slice(0, most - 1).join('') + '…' : String(text);
  },

  button(className, text, act) {
    const node = ui.make('button', className, text);
    node.type = 'button';
    node.addEventListener('click', act);
    return node;
  },

  text(node, text) {
    if (node.textContent !== text)
      node.textContent = text;
  },

  /* Changes an element's children only if `key` has changed since the last time. */
  rebuild(node, key, children) {
    if (node.dataset.key === key)
      return false;
    node.dataset.key = key;
    node.replaceChildren(...children());
    return true;
  },

  /* Three digits that count. */
  number(v) {
    if (v === null || v === undefined || !Number.isFinite(v))
      return '–';
    const text = String(Number(v.toPrecision(3)));
    if (!text.includes('e'))
      return text.replace('-', '−');
    const [digits, power] = text.split('e');
    return `${digits} × 10^${power}`.replaceAll('-', '−');
  },

  percent(v) {
    if (v === null || v === undefined || !Number.isFinite(v))
      return '–';
    const p = 100 * v;
    const text = p >= 10 ? p.toFixed(1) :
      p >= 0.095         ? p.toFixed(2) :
                           String(Number(p.toPrecision(2)));
    return (text.includes('e') ? ui.number(p) : text).replace('-', '−') + ' %';
  },

  canvas(node, width, height) {
    if (node.width !== width || node.height !== height) {
      node.width = width;
      node.height = height;
    }
    return node.getContext('2d');
  },

  /* Values as one pixel each. */
  pixels(node, width, height, fill) {
    const context = ui.canvas(node, width, height);
    const image = context.createImageData(width, height);
    fill(new Uint32Array(image.data.buffer));
    context.putImageData(image, 0, 0);
    return context;
  },

  async copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = ui.make('textarea', 'off-screen', text);
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
      button.focus();
    }
    ui.text(button, words.say('copied'));
    ui.say(words.say('copied'));
    setTimeout(() => ui.text(button, words.say(button.dataset.t)), 1500);
  },

  copyButton(text) {
    const button = ui.button('quiet', words.say('copy'), () => ui.copy(text, button));
    button.dataset.t = 'copy';
    return button;
  },

  command(text) {
    const box = ui.make('div', 'command');
    box.append(ui.make('code', '', text), ui.copyButton(text));
    return box;
  },

  /* To a screen reader, politely; the last thing said counts. */
  say(text) {
    clearTimeout(ui.saying);
    ui.saying = setTimeout(() => ui.text(ui.id('live'), text), 60);
  },

  save(name, blob) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  },
};

/* Buttons in rows and columns that lie over a drawing and give it focus, touch and names. One of
 * them can be reached by Tab; arrows move between them (WAI-ARIA: roving tabindex). root     an
 * element, which becomes the grid name     (row, column) -> what a cell is called point    (row,
 * column or null, how) when the pointer or the focus comes or goes choose   (row, column, event)
 * on click twice    (row, column) on double click; may be absent
 */
class Cells {
  constructor(root, rows, columns, handlers) {
    Object.assign(this, {root, rows, columns, ...handlers, cells: [], active: 0});
    root.setAttribute('role', 'grid');
    root.replaceChildren();
    for (let r = 0; r < rows; r++) {
      const line = ui.make('div', 'line');
      line.setAttribute('role', 'row');
      for (let c = 0; c < columns; c++)
        line.append(this.cell(r, c));
      root.append(line);
    }
    if (this.cells.length)
      this.cells[0].tabIndex = 0;
    this.abort?.abort();
    root.cellsAbort?.abort();
    root.cellsAbort = new AbortController();
    const {signal} = root.cellsAbort;
    root.addEventListener('pointerover', (e) => this.over(e), {signal});
    root.addEventListener('pointerleave',
      (e) => e.pointerType !== 'touch' && this.point(null, null, 'pointer'), {signal});
    root.addEventListener('focusin', (e) => this.focused(e), {signal});
    root.addEventListener('focusout',
      (e) => !root.contains(e.relatedTarget) && this.point(null, null, 'focus'), {signal});
    root.addEventListener('click', (e) => this.clicked(e, this.choose), {signal});
    root.addEventListener('dblclick', (e) => this.twice && this.clicked(e, this.twice), {signal});
    root.addEventListener('keydown', (e) => this.key(e), {signal});
  }

  cell(r, c) {
    const node = ui.make('button');
    node.type = 'button';
    node.tabIndex = -1;
    node.setAttribute('role', 'gridcell');
    node.setAttribute('aria-label', this.name(r, c));
    node.index = this.cells.length;
    this.cells.push(node);
    return node;
  }

  rename() {
    this.cells.forEach((node, i) => node.setAttribute(
                         'aria-label', this.name(Math.floor(i / this.columns), i % this.columns)));
  }

  at(e) {
    const node = e.target.closest('button');
    return node && node.index !== undefined ? node.index : -1;
  }

  split(i, act, ...rest) { return act(Math.floor(i / this.columns), i % this.columns, ...rest); }

  over(e) {
    const i = this.at(e);
    if (i >= 0 && e.pointerType !== 'touch')
      this.split(i, this.point, 'pointer');
  }

  focused(e) {
    const i = this.at(e);
    if (i < 0)
      return;
    this.move(i);
    if (e.target.matches(':focus-visible'))
      this.split(i, this.point, 'focus');
  }

  clicked(e, act) {
    const i = this.at(e);
    if (i >= 0)
      this.split(i, act, e);
  }

  /* The cell that Tab reaches. */
  move(i) {
    this.cells[this.active].tabIndex = -1;
    this.active = i;
    this.cells[i].tabIndex = 0;
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey)
      return;
    const {columns, rows} = this;
    const r = Math.floor(this.active / columns);
    const c = this.active % columns;
    const to = {
      ArrowLeft: [r, c - 1],
      ArrowRight: [r, c + 1],
      ArrowUp: [r - 1, c],
      ArrowDown: [r + 1, c],
      Home: [r, 0],
      End: [r, columns - 1]
    }[e.key];
    if (!to)
      return;
    e.preventDefault();
    if (to[0] >= 0 && to[0] < rows && to[1] >= 0 && to[1] < columns)
      this.cells[to[0] * columns + to[1]].focus();
  }

  /* Marks cells: a set of numbers, or one. */
  mark(className, wanted) {
    for (const node of this.root.querySelectorAll('.' + className)) {
      node.classList.remove(className);
      node.removeAttribute('aria-selected');
    }
    for (const i of wanted)
      if (this.cells[i]) {
        this.cells[i].classList.add(className);
        this.cells[i].setAttribute('aria-selected', 'true');
      }
  }
}
