/* main.js: the controls, and the start. window.vitx is for tests and for those who script the page:
 * ready (a promise), state(), set(changes), shown() (names in their order), open(name). */
const main = {
  /* Changes the state and draws what that changes. */
  set(changes) {
    const before = {...view.state};
    Object.assign(view.state, changes);
    const changed = (...keys) => keys.some((k) => before[k] !== view.state[k]);
    view.toAddress();
    if (changed('lang', 'theme'))
      main.dress();
    main.controls();
    const ordered = view.state.sort === 'match' && changed('map'); /* by another text now */
    if (ordered || changed('q', 'class', 'text', 'low', 'high', 'show', 'sort', 'lang')) {
      main.pick();
      wall.reset();
    } else if (changed('size'))
      wall.resize();
    else
      wall.draw();
    if (ui.id('dialog').open)
      detail.draw();
  },

  pick() {
    view.choose();
    main.count();
    main.histogram();
  },

  /* ---------------------------------------------------------------- what stands at the top ---- */

  count() {
    const all = gallery.pictures.length, some = view.shown.length;
    const failed = view.shown.reduce((n, p) => n + (p.error !== null), 0);
    wall.measure();
    const parts = [words.say(some === all ? 'count_all' : 'count_some',
      {some: words.number(some), all: words.number(all)})];
    if (failed)
      parts.push(words.say('count_failed', {failed: words.number(failed)}));
    if (wall.count < some)
      parts.push(words.say('count_cut', {n: words.number(wall.count)}));
    if (gallery.read < gallery.run.shards)
      parts.push(words.say(
        'reading', {n: words.number(gallery.read), all: words.number(gallery.run.shards)}));
    ui.text(ui.id('count'), parts.join(' · '));
    ui.id('none').hidden = some > 0 || gallery.read < gallery.run.shards;
    ui.id('clear').hidden = !view.filtered();
    main.trouble();
  },

  trouble() {
    const said = [];
    if (gallery.undone.length)
      said.push(words.say('undone',
        {n: words.number(gallery.undone.length), all: words.number(gallery.run.shards)}));
    if (gallery.damaged.length)
      said.push(words.say('damaged', {list: gallery.damaged.slice(0, 20).join(', ')}));
    ui.id('trouble').hidden = !said.length || gallery.read < gallery.run.shards;
    ui.text(ui.id('trouble'), said.join(' '));
  },

  histogram() {
    const bins = 50, counts = new Array(bins).fill(0);
    for (const p of view.candidates)
      if (p.value !== null)
        counts[Math.min(bins - 1, Math.max(0, Math.floor(card.share(p.value) * bins)))]++;
    const most = Math.max(1, ...counts);
    const bar = (n, i) =>
      n ? `M${i} 20v-${Math.max(1, 20 * Math.sqrt(n / most)).toFixed(2)}h.8V20z` : '';
    const inside = (i) => (i + 1) * 2 > view.state.low && i * 2 < view.state.high;
    const path = (wanted) => counts.map((n, i) => inside(i) === wanted ? bar(n, i) : '').join('');
    const [rest, within] = ui.id('histogram').children;
    rest.setAttribute('d', path(false));
    within.setAttribute('d', path(true));
  },

  /* ---------------------------------------------------------------- controls ------------------ */

  options(select, pairs, chosen) {
    ui.rebuild(select, JSON.stringify(pairs), () => pairs.map(([value, text]) => {
      const option = ui.make('option', '', ui.short(text, 100));
      option.value = value;
      return option;
    }));
    select.value = String(chosen);
  },

  /* [number, name, pictures], the most frequent first. */
  classes() {
    const found = new Map();
    for (const p of gallery.pictures)
      if (p.class >= 0) {
        const one = found.get(p.class) ?? [p.class, p, 0];
        one[2]++;
        found.set(p.class, one);
      }
    return [...found.values()].sort((a, b) => b[2] - a[2] || a[0] - b[0]);
  },

  classOptions() {
    const pairs =
      main.classes().map(([n, p, count]) => [n, `${view.className(p)} (${words.number(count)})`]);
    const wanted = view.state.class;
    if (wanted >= 0 && !pairs.some(([n]) => n === wanted))
      pairs.push([wanted, words.say('class_n', {n: wanted}) + ' (0)']);
    main.options(ui.id('class'), [[-1, words.say('any')], ...pairs], wanted);
    ui.id('class-box').hidden = ui.id('confidence-box').hidden = pairs.length === 0;
  },

  textOptions() {
    const texts = gallery.run.texts;
    const counts = texts.flatMap(() => [0, 0]);
    for (const p of gallery.pictures)
      texts.forEach((_, i) => p.texts[i] && counts[2 * i + p.texts[i].absent]++);
    const name = (i) =>
      words.say(i % 2 ? 'absent_of' : 'here_of', {text: ui.short(texts[i >> 1], 70)});
    const pairs = counts.map((n, i) => [i, `${name(i)} (${words.number(n)})`]);
    main.options(ui.id('text'), [[-1, words.say('any_text')], ...pairs], view.state.text);
    ui.id('text-box').hidden = texts.length === 0;
  },

  sortOptions() {
    const values = gallery.run.probable ? ['surest', 'unsurest'] : ['largest', 'smallest'];
    const pairs = [
      ['order', 'in_order'], ['surest', values[0]], ['unsurest', values[1]],
      ...(gallery.run.texts.length ? [['match', 'by_match']] : []), ['name', 'by_name'],
      ['class', 'by_class']
    ];
    main.options(ui.id('sort'), pairs.map(([v, key]) => [v, words.say(key)]), view.state.sort);
  },

  confidence() {
    const {low, high} = view.state;
    const [from, to] = view.ends();
    const text = (n) => gallery.run.probable ? n + ' %' : ui.number(from + (to - from) * n / 100);
    ui.text(ui.id('confidence-name'), words.say(gallery.run.probable ? 'confidence' : 'value'));
    ui.text(ui.id('confidence'), `${text(low)} – ${text(high)}`);
    ui.id('low').value = low;
    ui.id('high').value = high;
  },

  controls() {
    const {q, show, map, opacity, size} = view.state;
    if (ui.id('search').value !== q)
      ui.id('search').value = q;
    main.classOptions();
    main.textOptions();
    main.sortOptions();
    main.confidence();
    for (const button of ui.id('show').children)
      button.setAttribute('aria-pressed', String(button.dataset.show === show));
    main.options(
      ui.id('map'), [[-1, words.say('no_map')], ...card.maps().map((m, i) => [i, m])], map);
    ui.id('map-box').hidden = ui.id('opacity-box').hidden = card.maps().length === 0;
    ui.id('opacity').value = opacity;
    ui.id('size').value = size;
    document.documentElement.style.setProperty('--opacity', opacity / 100);
    main.histogram();
  },

  dress() {
    const {lang, theme} = view.state;
    words.lang = lang || (navigator.language.startsWith('zh') ? 'zh' : 'en');
    document.documentElement.lang = words.lang === 'zh' ? 'zh-CN' : 'en';
    if (theme === 'auto')
      delete document.documentElement.dataset.theme;
    else
      document.documentElement.dataset.theme = theme;
    words.fill(document);
    const title = gallery.run.title ?? words.say('gallery');
    document.title = ui.short(title, 200) + ' · vitx';
    ui.id('title').replaceChildren(ui.broken(ui.named(title)));
    ui.text(ui.id('theme'), {auto: '◐', light: '☀', dark: '☾'}[theme]);
    ui.id('theme').title = words.say('theme_' + theme);
    ui.id('theme').setAttribute('aria-label', words.say('theme_' + theme));
    const keys = [
      ['← → ↑ ↓', 'key_arrows'], ['Enter', 'key_enter'], ['← →', 'key_sides'], ['/', 'key_slash'],
      ['m', 'key_m'], ['Esc', 'key_escape']
    ];
    ui.id('key-list').replaceChildren(...keys.flatMap(([key, what]) => {
      const term = ui.make('dt');
      term.append(ui.make('kbd', '', key));
      return [term, ui.make('dd', '', words.say(what))];
    }));
  },

  /* ---------------------------------------------------------------- events -------------------- */

  range() {
    const low = Number(ui.id('low').value), high = Number(ui.id('high').value);
    main.set({low: Math.min(low, high), high: Math.max(low, high)});
  },

  nextMap() {
    const {map} = view.state;
    main.set({map: map + 1 < card.maps().length ? map + 1 : -1});
  },

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, select, #vx-keys'))
      return;
    if (e.key === '/' && !ui.id('dialog').open) {
      e.preventDefault();
      ui.id('search').focus();
    } else if (e.key === 'm')
      main.nextMap();
    else if (e.key === '?' && !ui.id('dialog').open)
      ui.id('keys').showModal();
  },

  listen() {
    const on = (id, event, act) => ui.id(id).addEventListener(event, act);
    on('search', 'input', () => main.set({q: ui.id('search').value.slice(0, 300)}));
    on('class', 'change', () => main.set({class: Number(ui.id('class').value)}));
    on('text', 'change', () => main.set({text: Number(ui.id('text').value)}));
    on('sort', 'change', () => main.set({sort: ui.id('sort').value}));
    on('map', 'change', () => main.set({map: Number(ui.id('map').value)}));
    on('low', 'input', main.range);
    on('high', 'input', main.range);
    on('opacity', 'input', () => main.set({opacity: Number(ui.id('opacity').value)}));
    on('size', 'input', () => main.set({size: Number(ui.id('size').value)}));
    on('show', 'click', (e) => {
      const show = e.target.closest('button')?.dataset.show;
      if (show)
        main.set({show});
    });
    on('clear', 'click', () => {
      main.set({q: '', class: -1, text: -1, low: 0, high: 100, show: 'all'});
      ui.id('search').focus();
    });
    on('language', 'click', () => main.set({lang: words.lang === 'zh' ? 'en' : 'zh'}));
    on('theme', 'click',
      () => main.set({theme: {auto: 'light', light: 'dark', dark: 'auto'}[view.state.theme]}));
    on('help', 'click', () => ui.id('keys').showModal());
    addEventListener('keydown', main.key);
    addEventListener('hashchange', () => {
      view.fromAddress();
      main.dress();
      main.refresh();
      wall.reset();
    });
  },

  refresh() {
    main.controls();
    main.pick();
    wall.renew();
  },

  async start() {
    gallery.run = {texts: [], text_of: [], ...JSON.parse(ui.id('run').textContent)};
    if (gallery.run.model !== null)
      ui.id('model').append(ui.named(gallery.run.model));
    view.fromAddress();
    view.choose();
    main.dress();
    main.listen();
    detail.start();
    ui.id('main').hidden = false;
    wall.start();
    gallery.heard = () => {
      wall.later();
      if (ui.id('dialog').open)
        detail.draw();
    };
    await gallery.readLists(main.refresh);
  },
};

window.vitx = {
  state: () => ({...view.state}),
  set: (changes) => main.set(changes),
  shown: () => view.shown.map((p) => p.key),
  open: (key) => {
    const at = view.shown.findIndex((p) => p.key === key);
    if (at >= 0)
      detail.open(at);
    return at >= 0;
  },
  elements: () => wall.cards.size,
  ready: main.start(),
};
