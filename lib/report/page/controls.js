/* controls.js: the native controls: what they show and what they change. */
const controls = {
  /* Options of a list, in the language at hand. */
  options(node, all) {
    const value = node.value;
    node.replaceChildren(...all.map(([key, text]) => {
      const option = ui.make('option', '', text);
      option.value = key;
      return option;
    }));
    node.value = value;
  },

  list: (prefix, keys) => keys.map((key) => [key, words.say(prefix + key)]),

  fill() {
    const picture = stage.picture();
    const targets = views.targets(picture);
    controls.options(ui.id('mode'),
      controls.list('mode_', ['auto', 'colour', 'strength', 'spotlight', 'outline']));
    controls.options(
      ui.id('colours'), [['auto', words.say('colours_auto')], ...colour.names.map((n) => [n, n])]);
    controls.options(ui.id('grey'), controls.list('grey_', ['auto', 0, 1]));
    controls.options(ui.id('zoom'), [1, 2, 4].map((z) => [z, z + ' ×']));
    controls.options(ui.id('compare-how'), controls.list('', ['side', 'wipe']));
    controls.options(ui.id('fusion'), controls.list('fuse_', ['mean', 'max', 'min']));
    controls.options(ui.id('compare'), [
      ['none', words.say('compare_none')], ...views.pairs(picture).map((pair) => {
        const [name, key] = pair.split(':');
        const target = targets.find((t) => t.key === key);
        const live =
          name === 'live' || name === 'bench' ? words.say(name) : name.replace(/~\d+$/, '');
        return [
          pair,
          key === undefined ?
            live :
            `${live}, \u2068${ui.short(target?.label ?? words.say('class_n', {n: key}), 60)}\u2069`
        ];
      })
    ]);
    ui.id('first').max = Math.max(0, attention.source().depth - 1);
    ui.id('smooth').closest('label').title =
      words.say('smooth_tip', {h: picture.grid[0], w: picture.grid[1]});
  },

  canTurn() {
    const {level} = attention.source();
    return level === 'all' || level === 'mean';
  },

  /* Each control: its name, the member of the state, and how its value is read. */
  table: [
    ['on', 'on', 'check'],
    ['opacity', 'a', 'number'],
    ['mode', 'mode', 'text'],
    ['scale', 'sc', 'text'],
    ['top', 'top', 'number'],
    ['compare', 'b', 'text'],
    ['compare-how', 'cmp', 'text'],
    ['colours', 'cm', 'text'],
    ['gamma', 'y', 'number'],
    ['share', 'x', 'number'],
    ['zoom', 'z', 'number'],
    ['smooth', 's', 'check'],
    ['grid', 'g', 'check'],
    ['grey', 'grey', 'text'],
    ['wipe', 'w', 'number'],
    ['same', 'same', 'check'],
    ['first', 'rf', 'number', 'bench'],
    ['fusion', 'ru', 'text', 'bench'],
    ['discard', 'rd', 'number', 'bench'],
    ['statistic', 'st', 'text'],
    ['layer', 'l', 'number', 'live'],
  ],

  read(node, kind) {
    return kind === 'check' ? Number(node.checked) :
      kind === 'number'     ? Number(node.value) :
                              node.value;
  },

  connect() {
    for (const [name, member, kind, view] of controls.table)
      ui.id(name).addEventListener('input',
        () => state.set(
          {[member]: controls.read(ui.id(name), kind), ...(view ? {map: view, on: 1} : {})}));
    for (const button of ui.id('direction').children)
      button.addEventListener('click', () => state.set({d: button.dataset.d}));
    ui.id('alone').addEventListener('click', () => state.set({only: 0}));
    ui.id('bench-show').addEventListener('click', () => state.set({map: 'bench', on: 1}));
    ui.id('png').addEventListener('click', foot.png);
    ui.id('json').addEventListener('click', foot.json);
    ui.id('link').addEventListener('click', () => {
      state.write();
      ui.copy(location.href, ui.id('link'));
    });
    ui.id('language').addEventListener('click', () => {
      main.speak(words.lang === 'en' ? 'zh' : 'en');
      main.draw();
    });
    ui.id('theme').addEventListener('click', main.nextTheme);
    ui.id('help').addEventListener('click', () => ui.id('dialog').showModal());
    for (const name of ['bench', 'stats', 'strongest'])
      ui.id(name).addEventListener('toggle', () => main.draw());
    ui.id('viewer').addEventListener('keydown', main.key);
    controls.drag();
  },

  /* The handle of the wipe; keys move it by the slider below the picture. */
  drag() {
    const handle = ui.id('handle');
    handle.addEventListener('pointerdown', (e) => handle.setPointerCapture(e.pointerId));
    handle.addEventListener('pointermove', (e) => {
      if (!handle.hasPointerCapture(e.pointerId))
        return;
      const box = ui.id('patches').getBoundingClientRect();
      state.set({w: 100 * (e.clientX - box.left) / box.width});
    });
  },

  draw() {
    const now = state.now;
    const live = now.map === 'live';
    controls.options(ui.id('scale'),
      live || now.map === 'bench' ?
        [
          ['map', words.say('scale_map')], ['layer', words.say('scale_layer')],
          ['model', words.say('scale_model')], ['fixed', words.say('scale_fixed')]
        ] :
        [
          ['map', words.say('scale_map')], ['layer', words.say('scale_kind')],
          ['model', words.say('scale_all')], ['fixed', words.say('scale_fixed')]
        ]);
    for (const [name, member, kind] of controls.table) {
      const node = ui.id(name);
      if (kind === 'check')
        node.checked = Boolean(now[member]);
      else if (node.value !== String(now[member]) &&
        !(name === 'top' && node === document.activeElement))
        node.value = now[member];
    }
    ui.id('top-box').hidden = now.sc !== 'fixed';
    ui.text(ui.id('gamma-now'), String(Number(now.y.toFixed(2))));
    ui.text(ui.id('share-now'), now.x + ' %');
    ui.id('share').disabled = now.mode !== 'outline';
    ui.id('compare-how').disabled = now.b === 'none';
    for (const [i, button] of [...ui.id('strip').children].entries())
      button.setAttribute('aria-pressed', String(i === now.p));
    const fusions = bench.fusions(now.p);
    for (const option of ui.id('fusion').options)
      option.disabled = !fusions.includes(option.value);
  },
};
