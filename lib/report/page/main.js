/* main.js: puts it together: what the pointer previews, keys, controls, start. */
const main = {
  /* What the pointer or the focus shows for a moment: query, layer, head; and the patch it is on.
   */
  peek: {patch: null},

  /* The state with what is previewed. */
  at() {
    const {q, l, h} = main.peek;
    return {...state.now, q: q ?? state.now.q, l: l ?? state.now.l, h: h ?? state.now.h};
  },

  /* ---------------------------------------------------------------- pointing ---------------- */

  /* A patch under the pointer or the focus: its row in every head. */
  pointPatch(patch, how) {
    const {prefix} = stage.picture();
    if (patch === null && how !== main.peek.how)
      return;
    stage.shown ??= stage.field;
    main.peek = patch === null ?
      {patch: null} :
      {patch, how, q: attention.able(patch + prefix) ? patch + prefix : undefined};
    if (patch === null)
      stage.shown = null;
    main.drawPreview();
    main.tip(patch);
    if (patch !== null && how === 'focus')
      ui.say(stage.patchText(patch));
  },

  /* The value beside the patch. */
  tip(patch) {
    const tip = ui.id('tip');
    tip.hidden = patch === null;
    if (patch === null)
      return;
    const [gh, gw] = stage.picture().grid;
    const [r, c] = [Math.floor(patch / gw), patch % gw];
    ui.text(tip, stage.patchText(patch));
    tip.style.left = `${100 * (c + 0.5) / gw}%`;
    tip.style.top = `${100 * (r < 2 ? r + 1 : r) / gh}%`;
    tip.className = 'tip' + (r < 2 ? ' below' : '') +
      (c < gw / 4         ? ' start' :
          c >= gw * 3 / 4 ? ' end' :
                            '');
  },

  /* A click keeps a patch as the query, a second one frees it. */
  choosePatch(patch) {
    const q = patch + stage.picture().prefix;
    const free = state.now.q === q;
    if (!attention.able(q)) {
      main.tip(patch);
      ui.say(stage.patchText(patch));
      return;
    }
    const text = stage.patchText(patch);
    main.peek = {patch: null};
    stage.shown = null;
    state.set({q: free ? 'class' : q});
    main.tip(patch);
    ui.say(`${text}, ${words.say(free ? 'freed' : 'kept')}`);
  },

  pointToken(q) {
    main.peek = q === null ? {patch: null} : {patch: null, q};
    main.drawPreview();
  },

  /* A head under the pointer is on the picture while it is there. */
  pointHead(l, h, how) {
    if (h === null && how !== main.peek.how && main.peek.how)
      return;
    main.peek = h === null ? {patch: null} : {patch: null, how, l, h, live: true};
    main.drawHead();
  },

  chooseHead(l, h) {
    main.peek = {patch: null};
    state.set({l, h, map: 'live', on: 1});
  },

  drawPreview() {
    if (!ui.id('attention').hidden)
      attention.paint(main.at());
    if (state.now.map === 'live' || state.now.b === 'live')
      stage.draw();
    else
      stage.legends();
    ui.id('patches').classList.toggle('asking', main.at().q !== 'class');
  },

  /* A head's preview takes the picture, whatever is on it. */
  drawHead() {
    const map = state.now.map;
    if (main.peek.live)
      state.now.map = 'live';
    stage.draw();
    state.now.map = map;
  },

  draw() {
    document.documentElement.lang = words.lang === 'zh' ? 'zh-Hans' : 'en';
    if (main.opened !== state.now.p)
      main.open();
    attention.draw();
    stage.draw();
    why.draw();
    bench.draw();
    foot.drawStats();
    foot.drawTen();
    foot.facts();
    terms.draw();
    main.drawFailed();
    controls.draw();
  },

  /* ---------------------------------------------------------------- a picture --------------- */

  open() {
    main.opened = state.now.p;
    main.peek = {patch: null};
    stage.open();
    ui.id('name').replaceChildren(ui.named(stage.picture().name));
    const tip = ui.make('div', 'tip');
    tip.id = 'vx-tip';
    tip.hidden = true;
    tip.setAttribute('aria-hidden', 'true');
    ui.id('patches').append(tip);
    attention.open();
    controls.fill();
    main.begin(state.now.p);
  },

  loads: new Map(), /* promises of what was begun: true when all of a picture is read and drawn */

  begin(p) {
    if (!main.loads.has(p))
      main.loads.set(p, main.load(p));
  },

  /* The map on show first, then all the rest. */
  async load(p) {
    const picture = data.report.pictures[p];
    const show = (draw) => state.now.p === p && draw();
    const index = views.find(picture, state.now.map, state.now.c);
    if (index >= 0) {
      await data.loadMap(p, index);
      show(stage.draw);
    }
    if (!main.first) {
      main.first = true;
      performance.mark('vx-first');
    }
    return data.load(p, (part) => show(part === 'maps' ? why.draw : main.draw));
  },

  /* Names what of this picture is damaged. */
  drawFailed() {
    const {broken} = data.pictures[state.now.p];
    const name = (b) => b.pool ? words.say('pool') :
      b.layer !== undefined ? `${words.say('attention')}, ${words.say('layer_n', {n: b.layer})}` :
                              stage.picture().maps[b.map].method;
    const names = [...new Set(broken.map(name))];
    const most = 4;
    const list = names.slice(0, most).join('; ') + (names.length > most ? ' ..' : '');
    ui.id('failed').hidden = broken.length === 0;
    ui.text(ui.id('failed'), broken.length ? words.say('failed', {list, n: names.length}) : '');
  },

  strip() {
    const {pictures} = data.report;
    ui.id('strip').hidden = pictures.length < 2;
    if (pictures.length < 2)
      return;
    ui.id('strip').replaceChildren(...pictures.map((picture, p) => {
      const button =
        ui.button('thumb', null, () => state.set({p, c: undefined, q: 'class', b: 'none'}));
      const image = ui.make('img');
      image.alt = '';
      image.loading = 'lazy';
      image.decoding = 'async';
      image.src =
        document.getElementById(picture.still).querySelector('image.base').getAttribute('href');
      button.append(image, ui.named(picture.name, 'name'));
      return button;
    }));
  },

  /* ---------------------------------------------------------------- language, theme --------- */

  speak(lang) {
    words.lang = lang;
    words.fill(document);
    ui.id('language').lang = lang === 'zh' ? 'en' : 'zh';
    main.theme(document.documentElement.dataset.theme ?? 'auto');
    main.keyList();
    foot.openStats();
    if (main.opened !== undefined) {
      stage.cells.rename();
      attention.cells.rename();
      controls.fill();
    }
  },

  themes: {auto: '◐', light: '☼', dark: '☾'},

  theme(name) {
    if (name === 'auto')
      delete document.documentElement.dataset.theme;
    else
      document.documentElement.dataset.theme = name;
    ui.text(ui.id('theme'), main.themes[name]);
    ui.id('theme').title = words.say('theme_' + name);
    ui.id('theme').setAttribute('aria-label', words.say('theme_' + name));
  },

  nextTheme() {
    const all = Object.keys(main.themes);
    const now = document.documentElement.dataset.theme ?? 'auto';
    main.theme(all[(all.indexOf(now) + 1) % all.length]);
  },

  /* ---------------------------------------------------------------- keys -------------------- */

  keyList() {
    const keys = [
      ['← ↑ → ↓', 'key_arrows'], ['Space', 'key_space'], ['[  ]', 'key_layer'],
      [',  .', 'key_head'], ['0', 'key_zero'], ['d', 'key_d'], ['o', 'key_o'],
      ['−  +', 'key_opacity'], ['m', 'key_m'], ['1 … 5', 'key_class'], ['Esc', 'key_escape'],
      ['?', 'key_help']
    ];
    ui.id('keys').replaceChildren(...keys.flatMap(([key, text]) => {
      const name = ui.make('dt');
      name.append(ui.make('kbd', '', key));
      return [name, ui.make('dd', '', words.say(text))];
    }));
  },

  /* Keys work while the focus is in the viewer, and never take one that a control needs. */
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey ||
      e.target.matches('select, input[type=number], textarea'))
      return;
    const act = main.keys(e.key);
    if (!act)
      return;
    e.preventDefault();
    act();
  },

  keys(key) {
    const now = state.now;
    const source = attention.source();
    const heads = [...Array(source.heads).keys(), 'mean'];
    const turn = (list, value, step) =>
      list[(list.indexOf(value) + step + list.length) % list.length];
    const layers = [...Array(source.layers).keys()];
    const live = (change) => () => source.layers && state.set({...change, map: 'live', on: 1});
    const targets = views.targets(stage.picture());
    if (/^[1-5]$/.test(key))
      return () => targets[key - 1]?.has && state.set({c: targets[key - 1].key});
    return {
      '[': live({l: turn(layers, now.l, -1)}),
      ']': live({l: turn(layers, now.l, 1)}),
      ',': live({h: turn(heads, now.h, -1)}),
      '.': live({h: turn(heads, now.h, 1)}),
      '0': () => state.set({q: 'class'}),
      Escape: () => state.set({q: 'class', only: 0}),
      o: () => state.set({on: 1 - now.on}),
      d: () => controls.canTurn() && state.set({d: now.d === 'to' ? 'by' : 'to'}),
      '-': () => state.set({a: now.a - 5}),
      '+': () => state.set({a: now.a + 5}),
      '=': () => state.set({a: now.a + 5}),
      m: () => state.set({map: turn(views.names(stage.picture()), now.map, 1)}),
      M: () => state.set({map: turn(views.names(stage.picture()), now.map, -1)}),
      '?': () => ui.id('dialog').showModal(),
    }[key];
  },

  /* ---------------------------------------------------------------- start ------------------- */

  start() {
    try {
      data.open();
    } catch {
      document.getElementById('vx-damaged').hidden = false;
      return;
    }
    document.documentElement.classList.add('live');
    ui.id('viewer').hidden = ui.id('foot').hidden = false;
    ui.id('title').replaceChildren(ui.broken(ui.named(data.report.title)));
    state.read();
    main.speak(data.report.lang ?? (navigator.language.startsWith('zh') ? 'zh' : 'en'));
    main.strip();
    controls.connect();
    main.draw();
    addEventListener('hashchange', () => {
      state.read();
      main.draw();
    });
    new ResizeObserver(
      () => attention.rows && main.opened === state.now.p && attention.paint(main.at()))
      .observe(ui.id('atlas'));
  },
};

/* A query whose row at least one layer's mean or heads have. */
attention.able = (q) => {
  const source = attention.source();
  return source.level === 'all' || source.level === 'mean' || source.isRead(q) ||
    source.held.layers.some((l) => l?.mean || l?.all);
};

/* For the console and for tests: the numbers that the page itself decoded. All of the picture on
 * show; layers and heads from 0, head = number or 'mean', query = token or 'class' (the row that
 * the model's head reads). Promises and functions give null for what the file does not hold. */
window.vitx = Object.freeze({
  get ready() { return main.loads.get(state.now.p); },
  get report() { return data.report; },
  state: () => ({...state.now}),
  row: (layer, head, query) => attention.source().row(layer, head, query),
  column: (layer, head, key) => attention.source().row(layer, head, key, true),
  map(i) {
    const values = data.pictures[state.now.p].maps[i];
    return values ? {shape: stage.picture().maps[i].shape, values: Float32Array.from(values)} :
                    null;
  },
  rollout({first = 0, fusion = 'mean', discard = 0} = {}) {
    const values = bench.values({...state.now, rf: first, ru: fusion, rd: discard});
    return values && !values.missing ? Float32Array.from(values) : null;
  },
});

main.start();
