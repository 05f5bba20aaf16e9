/* attention.js: where every head looks, for the query at hand. */
const attention = {
  sources: new Map(),
  rows: null, /* Float32Array [layers, heads + 1, tokens] of the query that was drawn; mean last */
  held: null, /* Uint8Array [layers, heads + 1]: 1 if the file has it */
  tops: null, /* largest patch weight of each */
  cells: null,

  of(p) {
    if (!attention.sources.has(p))
      attention.sources.set(p, new Attention(p));
    return attention.sources.get(p);
  },

  source: () => attention.of(state.now.p),

  /* ---------------------------------------------------------------- names ------------------- */

  tokenName(q) {
    const source = attention.source();
    const {registers, pooling} = data.report.model;
    const [, gw] = stage.picture().grid;
    if (q === 'class' || source.isRead(q)) {
      if (source.readsToken)
        return source.prefix > 0 ? words.say('token_class') : words.say('token_n', {n: 0});
      return words.say(source.read[0] === 0 && source.prefix > 0 ? 'read_prefix' : 'read_patches');
    }
    if (q >= source.prefix)
      return words.say(
        'patch', {r: Math.floor((q - source.prefix) / gw), c: (q - source.prefix) % gw});
    const register = q - (source.prefix - registers);
    if (registers > 0 && register >= 0)
      return words.say('token_reg', {n: register});
    return words.say(q === 0                ? 'token_class' :
        q === 1 && pooling === 'token+dist' ? 'token_dist' :
                                              'token_n',
      {n: q});
  },

  layerName: (l) =>
    l === attention.source().depth ? words.say('pool') : words.say('layer_n', {n: l}),
  headName: (h) => h === 'mean' ? words.say('mean') : words.say('head_n', {n: h}),

  /* ---------------------------------------------------------------- numbers ----------------- */

  /* The patches' part of one row or column. */
  values(at) {
    const source = attention.of(at.p);
    if (source.level === 'none' || !source.layers)
      return {missing: true};
    if (at.l < source.depth ? !source.held.layers[at.l] : !source.held.done)
      return null;
    const row = source.row(at.l, at.h, at.q, at.d === 'by');
    return row ? row.subarray(source.prefix) : {missing: true};
  },

  /* Reads the query's row of every head. */
  gather(at) {
    const source = attention.of(at.p);
    const {layers, heads, tokens, prefix} = source;
    const all = layers * (heads + 1);
    if (attention.rows?.length !== all * tokens) {
      attention.rows = new Float32Array(all * tokens);
      attention.held = new Uint8Array(all);
      attention.tops = new Float32Array(all);
    }
    const {rows, held, tops} = attention;
    const by = at.d === 'by';
    rows.fill(0);
    for (let l = 0; l < layers; l++) {
      const first = l * (heads + 1);
      let whole = source.headsOf(l) === heads;
      for (let h = 0; h < heads; h++) {
        held[first + h] = source.add(rows, (first + h) * tokens, l, h, at.q, by) ? 1 : 0;
        whole = whole && held[first + h] === 1;
      }
      const mean = (first + heads) * tokens;
      held[first + heads] = whole || source.add(rows, mean, l, 'mean', at.q, by) ? 1 : 0;
      for (let h = 0; whole && h < heads; h++)
        for (let t = 0, from = (first + h) * tokens; t < tokens; t++)
          rows[mean + t] += rows[from + t] / heads;
    }
    for (let i = 0; i < all; i++) {
      let most = 0;
      for (let t = i * tokens + prefix, end = (i + 1) * tokens; t < end; t++)
        if (rows[t] > most)
          most = rows[t];
      tops[i] = most;
    }
  },

  /* The largest weight of the query in a layer, or in all of them (-1). */
  top(layer) {
    const each = attention.source().heads + 1;
    const tops = attention.tops ?? [];
    const some = layer < 0 ? tops : tops.subarray(layer * each, (layer + 1) * each);
    return some.reduce((a, b) => Math.max(a, b), 0);
  },

  /* What the colours of head i end at. */
  high(i, at) {
    const each = attention.source().heads + 1;
    if (at.sc === 'fixed' && at.top > 0)
      return at.top;
    return at.sc === 'layer' ? attention.top(Math.floor(i / each)) :
      at.sc === 'model'      ? attention.modelTop :
                               attention.tops[i];
  },

  /* Entropy, share of the prefix tokens, largest weight; of a column, its sum. */
  measure(i) {
    const {tokens, prefix} = attention.source();
    const {rows} = attention;
    let entropy = 0;
    let first = 0;
    let sum = 0;
    for (let t = 0, at = i * tokens; t < tokens; t++, at++) {
      const v = rows[at];
      sum += v;
      if (v > 0)
        entropy -= v * Math.log(v);
      if (t < prefix)
        first += v;
    }
    return {entropy: entropy / Math.log(tokens), prefix: first, sum, max: attention.tops[i]};
  },

  /* ---------------------------------------------------------------- layers x heads ---------- */

  /* A thumbnail's place is column l, row h. */
  open() {
    const source = attention.source();
    const [gh, gw] = stage.picture().grid;
    const rows = source.heads + 1;
    const box = ui.id('attention');
    attention.rows = null;
    attention.small = document.createElement('canvas');
    box.hidden = source.level === 'none' && !source.layers;
    ui.id('layer').max = Math.max(0, source.layers - 1);
    ui.id('plot').style.setProperty('--columns', source.layers);
    ui.id('plot').style.setProperty('--shape', `${source.layers * gw} / ${rows * gh}`);
    ui.id('plot').style.setProperty('--widest', `${source.layers * Math.max(56, 24)}px`);
    attention.cells = new Cells(ui.id('heads'), rows, source.layers, {
      name: (h, l) => attention.text(l, attention.headOf(h), state.now),
      point: (h, l, how) => main.pointHead(l, h === null ? null : attention.headOf(h), how),
      choose: (h, l) => main.chooseHead(l, attention.headOf(h)),
      twice: (h, l) => state.set({l, h: attention.headOf(h), map: 'live', only: 1}),
    });
    attention.label(ui.id('across'), ui.id('down'), source.layers, rows);
    for (const node of [ui.id('tokens'), ui.id('cards')])
      delete node.dataset.key;
  },

  /* A head and its numbers, for those who do not see the picture. */
  text(l, h, at) {
    const source = attention.of(at.p);
    const i = l * (source.heads + 1) + (h === 'mean' ? source.heads : h);
    return words.say('cell_says', {
      l: attention.plainLayer(l),
      h: attention.headName(h),
      v: attention.rows && attention.held[i] ? attention.numbers(i, at) :
        source.held.done                     ? words.say('missing') :
                                               words.say('loading')
    });
  },

  numbers(i, at) {
    const m = attention.measure(i);
    return words.say(at.d === 'by'    ? 'head_numbers_by' :
        attention.source().prefix > 0 ? 'head_numbers' :
                                        'head_numbers_plain',
      {
        max: ui.percent(m.max),
        entropy: Math.round(100 * m.entropy) + ' %',
        prefix: ui.percent(m.prefix),
        sum: m.sum.toFixed(2)
      });
  },

  /* When what is kept changes, the cells get new names; not while the pointer moves. */
  renameSoon() {
    clearTimeout(attention.renaming);
    attention.renaming = setTimeout(() => {
      if (main.peek.q === undefined)
        attention.cells.rename();
      else
        attention.renameSoon();
    }, 200);
  },

  plainLayer: (l) => l === attention.source().depth ? words.say('pool') : l,
  headOf: (row) => row === attention.source().heads ? 'mean' : row,

  /* Numbers along the two sides of a plot. */
  label(across, down, layers, rows) {
    const source = attention.source();
    const text = (n, last, name) => n === last ? name : String(n);
    across.replaceChildren(...Array.from(
      {length: layers}, (_, l) => ui.make('span', '', l === source.depth ? 'P' : String(l))));
    down.replaceChildren(...Array.from(
      {length: rows}, (_, h) => ui.make('span', '', text(h, source.heads, words.say('mean')))));
  },

  colours: (at) => colour.diverging.includes(at.cm) || at.cm === 'auto' ? 'inferno' : at.cm,

  /* Every head anew: what a hovered patch repaints. */
  paint(at) {
    const source = attention.of(at.p);
    const [gh, gw] = stage.picture().grid;
    const {layers, heads, tokens, prefix} = source;
    if (!layers)
      return;
    const start = performance.now();
    attention.gather(at);
    attention.modelTop = attention.top(-1);
    const table = colour.table(attention.colours(at), at.y, false, 'full');
    const n = gh * gw;
    const stride = layers * gw;
    const [width, height] = [stride, (heads + 1) * gh];
    const context = ui.canvas(attention.small, width, height);
    if (attention.image?.width !== width || attention.image?.height !== height)
      attention.image = context.createImageData(width, height);
    const pixels = new Uint32Array(attention.image.data.buffer);
    const one = attention.one?.length === n ? attention.one : (attention.one = new Uint32Array(n));
    for (let l = 0, i = 0; l < layers; l++)
      for (let h = 0; h <= heads; h++, i++) {
        if (attention.held[i])
          colour.paint(
            one, 0, attention.rows, i * tokens + prefix, n, 0, attention.high(i, at), table);
        else
          one.fill(0);
        for (let y = 0; y < gh; y++)
          pixels.set(one.subarray(y * gw, (y + 1) * gw), (h * gh + y) * stride + l * gw);
      }
    context.putImageData(attention.image, 0, 0);
    attention.show(layers, heads + 1, gh, gw);
    attention.paintCards(at);
    performance.measure('vx-hover', {start, end: performance.now()});
    if (++attention.painted % 1000 === 0)
      performance.clearMeasures('vx-hover');
  },
  painted: 0,

  /* Puts the thumbnails onto the canvas of the page, with gaps between them. */
  show(columns, rows, gh, gw) {
    const canvas = ui.id('atlas');
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(canvas.clientWidth * ratio);
    const tall = Math.round(canvas.clientHeight * ratio);
    if (!wide || !tall)
      return;
    const context = ui.canvas(canvas, wide, tall);
    context.clearRect(0, 0, wide, tall);
    context.imageSmoothingEnabled = false;
    const gap = Math.max(1, Math.round(ratio));
    const edge = (k, count, size) => Math.round(k * size / count);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        const [x, y] = [edge(c, columns, wide), edge(r, rows, tall)];
        context.drawImage(attention.small, c * gw, r * gh, gw, gh, x, y,
          edge(c + 1, columns, wide) - x - gap, edge(r + 1, rows, tall) - y - gap);
      }
  },

  /* ---------------------------------------------------------------- the heads of a layer ---- */

  makeCards() {
    const source = attention.source();
    const [gh, gw] = stage.picture().grid;
    const key = [state.now.p, words.lang].join();
    ui.rebuild(ui.id('cards'), key, () => Array.from({length: source.heads + 1}, (_, h) => {
      const head = attention.headOf(h);
      const card = ui.button('card', null, () => main.chooseHead(main.at().l, head));
      card.dataset.head = head;
      const canvas = ui.make('canvas');
      canvas.style.aspectRatio = `${gw} / ${gh}`;
      card.append(canvas, ui.make('span', 'name', attention.headName(head)));
      const list = ui.make('span', 'facts');
      for (const [name, tip, values] of [
             ['max', 'max_tip', {uniform: ui.percent(1 / source.tokens)}],
             ['entropy', null], ['prefix_share', 'prefix_tip', {}]]) {
        const line = ui.make('span', 'fact');
        line.title = tip ? words.say(tip, values) : ''; /* or as paintFacts has it */
        line.append(ui.make('span', 'key', words.say(name)), ui.make('span', 'figure'));
        list.append(line);
      }
      card.append(list);
      card.addEventListener('pointerenter',
        (e) => e.pointerType !== 'touch' && main.pointHead(state.now.l, head, 'pointer'));
      card.addEventListener('pointerleave', () => main.pointHead(null, null, 'pointer'));
      card.addEventListener('dblclick', () => state.set({h: head, map: 'live', only: 1}));
      return card;
    }));
  },

  paintCards(at) {
    const source = attention.of(at.p);
    const [gh, gw] = stage.picture().grid;
    const table = colour.table(attention.colours(at), at.y, false, 'full');
    const cards = ui.id('cards').children;
    for (let h = 0; h < cards.length; h++) {
      const i = state.now.l * (source.heads + 1) + h;
      const canvas = cards[h].firstChild;
      const held = attention.held[i] === 1;
      if (held)
        ui.pixels(canvas, gw, gh,
          (pixels) => colour.paint(pixels, 0, attention.rows, i * source.tokens + source.prefix,
            gw * gh, 0, attention.high(i, at), table));
      else
        ui.canvas(canvas, gw, gh).clearRect(0, 0, gw, gh);
      attention.paintFacts(cards[h], held ? attention.measure(i) : null, at);
    }
  },

  paintFacts(card, m, at) {
    const by = at.d === 'by';
    const [max, entropy, prefix] = card.querySelectorAll('.figure');
    ui.text(max, m ? ui.percent(m.max) : '–');
    ui.text(entropy, !m ? '–' : by ? '× ' + m.sum.toFixed(2) : Math.round(100 * m.entropy) + ' %');
    ui.text(prefix, m && !by ? ui.percent(m.prefix) : '–');
    const line = entropy.parentNode;
    ui.text(line.firstChild, words.say(by ? 'received' : 'entropy'));
    const limit = ui.number(Math.log(attention.source().tokens));
    const tip = words.say(by ? 'received_tip' : 'entropy_tip', {limit});
    if (line.title !== tip)
      line.title = tip;
    prefix.parentNode.hidden = by || attention.source().prefix === 0;
    card.classList.toggle('flat', Boolean(m) && !by && m.entropy > 0.97);
    card.classList.toggle('gone', !m);
  },

  /* ---------------------------------------------------------------- tokens and all ---------- */

  makeTokens() {
    const source = attention.source();
    const atPool = state.now.l === source.depth;
    const key = [state.now.p, words.lang, state.now.q, atPool].join();
    ui.rebuild(ui.id('tokens'), key, () => {
      const chip = (q, text) => {
        const button = ui.button('chip', text, () => state.set({q}));
        button.dataset.query = q;
        button.addEventListener(
          'pointerenter', (e) => e.pointerType !== 'touch' && main.pointToken(q));
        button.addEventListener('pointerleave', () => main.pointToken(null));
        button.setAttribute('aria-pressed', String(state.now.q === q));
        return button;
      };
      const list = [chip('class', stage.query({l: state.now.l, q: 'class'}))];
      for (let q = 0; q < source.prefix; q++)
        if (!source.isRead(q))
          list.push(chip(q, attention.tokenName(q)));
      const q = state.now.q;
      if (q !== 'class' && q >= source.prefix)
        list.push(chip(q, attention.tokenName(q)));
      else
        list.push(ui.make('span', 'note', words.say('pick_patch')));
      return list;
    });
  },

  draw() {
    const at = main.at();
    const source = attention.source();
    if (ui.id('attention').hidden)
      return;
    attention.makeTokens();
    attention.makeCards();
    attention.paint(at);
    const columns = source.layers;
    const row = at.h === 'mean' ? source.heads : at.h;
    attention.cells.mark('chosen', [row * columns + at.l]);
    ui.id('heads').classList.toggle('solo', at.only === 1);
    ui.id('cards').classList.toggle('solo', at.only === 1);
    for (const card of ui.id('cards').children) {
      const chosen = card.dataset.head === String(at.h);
      card.setAttribute('aria-pressed', String(chosen && state.now.map === 'live'));
      card.hidden = at.only === 1 && !chosen;
    }
    ui.id('alone').hidden = at.only !== 1;
    for (const button of ui.id('direction').children) {
      button.setAttribute('aria-pressed', String(button.dataset.d === at.d));
      button.disabled =
        button.dataset.d === 'by' && source.level !== 'all' && source.level !== 'mean';
    }
    attention.titles(at);
    attention.renameSoon();
  },

  /* What the file holds, why no more, and how to get more. */
  lacking() {
    const {level, layers, left_out: left} =
      stage.picture().attention ?? {level: 'none', layers: []};
    const means = layers.findIndex((layer) => layer.mean !== null), last = layers.length - 1;
    const said = ['level_' + level];
    if (level === 'class' && means >= 0)
      said.push(means === last ? 'level_means_one' : 'level_means');
    if (level === 'mean' && layers[last].all !== null)
      said.push('level_last');
    if (left)
      said.push('level_left');
    return [...said, 'level_more'].map((key) => words.say(key, {first: means, last}))
      .join(words.lang === 'zh' ? '' : ' ');
  },

  titles(at) {
    const source = attention.source();
    const last = Math.max(0, source.layers - 1);
    ui.id('layer').value = at.l;
    ui.id('layer').setAttribute('aria-valuetext',
      at.l === source.depth ? words.say('pool') : words.say('layer_of', {n: at.l, last}));
    ui.text(ui.id('layer-title'),
      at.l === source.depth ? words.say('pool') : words.say('heads_layer', {n: at.l}));
    ui.text(ui.id('level'), source.level === 'all' ? '' : attention.lacking());
    ui.id('level').hidden = source.level === 'all';
    ui.id('grid-hint').hidden = source.level !== 'all';
  },
};
