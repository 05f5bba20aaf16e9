/* foot.js: statistics, the strongest patches, what the page is about, and what it can write. */
const foot = {
  /* ---------------------------------------------------------------- statistics -------------- */

  openStats() {
    const stats = data.report.stats;
    ui.id('stats').hidden = !stats;
    if (!stats)
      return;
    ui.id('statistic').replaceChildren(...Object.keys(stats.statistics).map((name) => {
      const option = ui.make('option', '', foot.statName(name));
      option.value = name;
      return option;
    }));
    const [rows, columns] = [stats.heads, stats.layers];
    const plot = ui.id('stat-map').closest('.plot');
    plot.style.setProperty('--columns', columns);
    plot.style.setProperty('--shape', `${columns} / ${rows}`);
    plot.style.setProperty('--widest', `${columns * 34}px`);
    attention.label(ui.id('stat-across'), ui.id('stat-down'), columns, rows);
    foot.cells = new Cells(ui.id('statgrid'), rows, columns, {
      name: (h, l) => foot.statText(l, h),
      point: (h, l) =>
        ui.text(ui.id('stat-now'), h === null ? words.say('stat_hint') : foot.statText(l, h)),
      choose: (h, l) =>
        state.set({l, h, map: views.live(stage.picture()).length ? 'live' : state.now.map, on: 1}),
    });
    ui.rebuild(ui.id('warnings'), words.lang, () => foot.warnings(stats));
    ui.text(ui.id('stats-of'),
      words.say(stats.pictures === 1 ? 'stats_of_one' : 'stats_of', {n: stats.pictures}));
  },

  statName: (name) => words.all.en['stat_' + name] ? words.say('stat_' + name) : name,

  statText(l, h) {
    const stats = data.report.stats;
    const v = stats.statistics[state.now.st]?.mean[l][h];
    const pattern = stats.patterns?.[l]?.[h];
    return words.say('cell_says', {l, h: words.say('head_n', {n: h}), v: ui.number(v)}) +
      (pattern ?
          `, ${words.all.en['pattern_' + pattern] ? words.say('pattern_' + pattern) : pattern}` :
          '');
  },

  warnings(stats) {
    const list = stats.warnings.map((text) => ui.make('li', '', terms.warning(text)));
    if (!stats.warnings.length)
      for (const r of stats.redundant)
        list.push(ui.make('li', '',
          words.say('redundant', {l: r.layer, h: r.head, w: r.with, c: ui.number(r.cosine)})));
    return list;
  },

  drawStats() {
    const stats = data.report.stats;
    if (!stats || !ui.id('stats').open)
      return;
    const matrix = stats.statistics[state.now.st]?.mean ?? Object.values(stats.statistics)[0].mean;
    const flat = new Float32Array(stats.heads * stats.layers);
    matrix.forEach((row, l) => row.forEach((v, h) => {
      flat[h * stats.layers + l] = v ?? NaN;
    }));
    const low = flat.reduce((a, b) => b < a ? b : a, Infinity);
    const high = flat.reduce((a, b) => b > a ? b : a, -Infinity);
    const table = colour.table('viridis', 1, false, 'full');
    ui.pixels(ui.id('stat-map'), stats.layers, stats.heads,
      (pixels) => colour.paint(pixels, 0, flat, 0, flat.length, low, high, table));
    foot.cells.rename();
    foot.cells.mark(
      'chosen', state.now.h === 'mean' ? [] : [state.now.h * stats.layers + state.now.l]);
    foot.statLegend(low, high, table);
  },

  statLegend(low, high, table) {
    const node = ui.id('stat-legend');
    ui.rebuild(node, 'made', () => {
      const bar = ui.make('div', 'ramp');
      bar.append(ui.make('canvas'));
      const ends = ui.make('div', 'ends');
      ends.append(ui.make('span'), ui.make('span'), ui.make('span'));
      return [bar, ends];
    });
    const [a, , b] = node.querySelectorAll('.ends span');
    ui.text(a, ui.number(low));
    ui.text(b, ui.number(high));
    ui.pixels(node.querySelector('canvas'), 256, 1, (pixels) => {
      for (let i = 0; i < 256; i++)
        pixels[i] = table[Math.round(i / 255 * (colour.steps - 1))];
    });
  },

  /* ---------------------------------------------------------------- strongest patches ------- */

  drawTen() {
    const box = ui.id('strongest');
    const field = stage.field;
    box.hidden = !field?.grid || Boolean(field.rgb);
    if (box.hidden || !box.open)
      return;
    const {grid} = field;
    const [, gw] = stage.picture().grid;
    const order = Array.from(grid.keys()).sort((a, b) => grid[b] - grid[a] || a - b).slice(0, 10);
    const mass = grid.reduce((sum, v) => sum + Math.max(0, v), 0);
    ui.id('ten').replaceChildren(...order.map((i, k) => {
      const line = ui.make('tr');
      const share = mass > 0 && grid[i] > 0 ? ui.percent(grid[i] / mass) : '–';
      for (const text of [k + 1, Math.floor(i / gw), i % gw, stage.show(field, grid[i]), share])
        line.append(ui.make('td', '', String(text)));
      return line;
    }));
    ui.text(ui.id('ten-note'), field.map?.on === 'input' ? words.say('on_input') : '');
  },

  /* ---------------------------------------------------------------- about ------------------- */

  pooling: (name) => words.all.en['pooling_' + name] ? words.say('pooling_' + name) : name,

  /* Nothing for a map that no number changes. A number of a vector is no logit. */
  explained(map) {
    if (!map?.score || !map.uses_target)
      return null;
    const kind = data.report.model.units && map.score === 'logit' ? 'units' : map.score;
    const key = `score_${kind}${map.versus_text ? '_versus' : ''}`;
    const name = words.all.en[key] ? words.say(key) : map.score;
    return `${name} ${ui.number(map.value)}`;
  },

  facts() {
    const {model, version, command} = data.report;
    const picture = stage.picture();
    const index = views.find(picture, state.now.map, state.now.c);
    const map = picture.maps[index];
    const [gh, gw] = picture.grid;
    const seen = picture.seen.map((v) => String(Math.round(v)));
    const facts = [
      ['picture', picture.name],
      ['size', words.say('pixels', {w: picture.size[0], h: picture.size[1]})],
      ['seen', words.say('seen_n', {a: seen[0], b: seen[2], c: seen[1], d: seen[3]})],
      ['model', model.name],
      ['digest', model.digest],
      ['family', [model.family, model.architecture].filter(Boolean).join(', ')],
      ['blocks', [model.layers, model.heads, model.width].join(', ')],
      ['input', words.say('pixels', {w: picture.input[1], h: picture.input[0]})],
      ['tokens', words.say('tokens_n', {t: picture.tokens, p: picture.prefix, h: gh, w: gw})],
      ['pooling', foot.pooling(model.pooling)],
      ['precision', [model.precision, model.device].filter(Boolean).join(', ')],
      ['method', map ? [map.method, terms.method(map.method)].filter(Boolean).join(': ') : null],
      [
        'settings',
        map && Object.entries(map.settings ?? {}).map(([k, v]) => `${k}=${v}`).join(' ')
      ],
      ['score', foot.explained(map)],
      [
        'completeness',
        map?.completeness_error !== null && map ? ui.number(map.completeness_error) : null
      ],
      ['made_by', version],
    ];
    ui.id('facts').replaceChildren(...facts.filter(([, v]) => v).flatMap(([key, value]) => {
      const cell = ui.make('dd');
      cell.append(ui.named(value));
      return [ui.make('dt', '', words.say(key)), cell];
    }));
    ui.id('command').hidden = !command;
    if (command)
      ui.rebuild(ui.id('command'), words.lang,
        () => [ui.make('h2', '', words.say('command')), ui.command(command)]);
    const level = stage.picture().attention?.level ?? 'none';
    ui.id('facts').append(
      ui.make('dt', '', words.say('attention')), ui.make('dd', '', words.say('level_' + level)));
  },

  /* ---------------------------------------------------------------- export ------------------ */

  fileName(ending) {
    const at = main.at();
    const name = stage.picture().name.replace(/\.[^.]*$/, '');
    const view = at.map === 'live' ? `layer${at.l}-${at.h}-${at.q}` :
                                     at.map + (at.c === 'none' ? '' : '-' + at.c);
    return `${name}-${view}`.replace(/[^\p{L}\p{N}._-]+/gu, '_') + ending;
  },

  json() {
    const at = main.at();
    const field = stage.field;
    if (!field?.values)
      return;
    const {map} = field;
    const about = {
      version: data.report.version,
      model: data.report.model.name,
      digest: data.report.model.digest,
      picture: stage.picture().name,
      size: stage.picture().size,
      seen: stage.picture().seen
    };
    const what = map    ? {...map, block: undefined, code: undefined} :
      at.map === 'live' ? {
        method: 'attention',
        layer: at.l,
        head: at.h,
        query: at.q,
        direction: at.d,
        pooling_head: at.l === attention.source().depth
      } :
                          {method: 'rollout', first: at.rf, fusion: at.ru, discard: at.rd};
    const text = JSON.stringify({
      ...about,
      view: what,
      state: state.fragment(),
      shape: field.shape,
      scale: [field.low, field.high],
      values: Array.from(field.values, (v) => Number(v.toPrecision(9)))
    });
    ui.save(foot.fileName('.json'), new Blob([text], {type: 'application/json'}));
  },

  png() {
    const picture = stage.picture();
    const at = main.at();
    const box = stage.union(picture);
    const wide = Math.max(box.w * picture.shown[0] / picture.size[0], 900);
    const [w, h] = [Math.round(wide), Math.round(wide / stage.aspect)];
    const side = stage.second && at.cmp === 'side';
    const both = stage.second && !side;
    const canvas = document.createElement('canvas');
    const context = ui.canvas(canvas, side ? 2 * w + 16 : w, h + (both ? 152 : 76));
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    const frame = {at, box, w, h, context};
    foot.drawFrame(frame, 0,
      [['over', both ? [0, at.w / 100] : [0, 1]], ...(both ? [['over-b', [at.w / 100, 1]]] : [])],
      stage.field);
    foot.drawLegend(frame, 0, h, 'caption', 'legend');
    if (side)
      foot.drawFrame(frame, w + 16, [['over-c', [0, 1]]], stage.second);
    if (stage.second)
      foot.drawLegend(frame, side ? w + 16 : 0, side ? h : h + 76, 'caption-b', 'legend-b');
    canvas.toBlob((blob) => ui.save(foot.fileName('.png'), blob), 'image/png');
  },

  drawFrame({at, box, w, h, context}, left, layers, field) {
    const picture = stage.picture();
    const [across, down] = [w / box.w, h / box.h];
    const place = ([x0, y0, x1, y1]) => [left + (x0 - box.x) * across, (y0 - box.y) * down,
      (x1 - x0) * across, (y1 - y0) * down];
    const seen = place(picture.seen);
    context.save();
    context.beginPath();
    context.rect(left, 0, w, h);
    context.clip();
    context.fillStyle = '#808080';
    context.fillRect(left, 0, w, h);
    context.filter = stage.isGrey(field, at) ? 'grayscale(1)' : 'none';
    context.drawImage(ui.id('photo'), ...place([0, 0, ...picture.size]));
    context.filter = 'none';
    context.imageSmoothingEnabled = Boolean(at.s);
    context.globalAlpha = at.on ? at.a / 100 : 0;
    for (const [name, [from, to]] of layers) {
      const source = ui.id(name);
      context.drawImage(source, source.width * from, 0, source.width * (to - from), source.height,
        seen[0] + seen[2] * from, seen[1], seen[2] * (to - from), seen[3]);
    }
    context.globalAlpha = 1;
    foot.drawOutline(context, field, at, seen);
    context.restore();
  },

  drawOutline(context, field, at, [x, y, w, h]) {
    const path = stage.outlinePath(field, at);
    if (!path)
      return;
    const [gh, gw] = stage.picture().grid;
    const scaled = new Path2D();
    scaled.addPath(new Path2D(path), new DOMMatrix([w / gw, 0, 0, h / gh, x, y]));
    for (const [width, style] of [[5, '#000000'], [2.5, '#ffffff']]) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.stroke(scaled);
    }
  },

  drawLegend({w, context}, left, top, caption, legend) {
    context.fillStyle = '#1b1c1f';
    context.font = '16px system-ui, sans-serif';
    context.textAlign = 'left';
    context.fillText(ui.short(ui.id(caption).textContent, 120), left + 12, top + 26, w - 24);
    const ramp = ui.id(legend).querySelector('canvas');
    if (!ramp)
      return;
    context.imageSmoothingEnabled = true;
    context.drawImage(ramp, left + 12, top + 38, w - 24, 10);
    context.font = '13px system-ui, sans-serif';
    const ends = ui.id(legend).querySelectorAll('.ends span');
    ['left', 'center', 'right'].forEach((align, i) => {
      context.textAlign = align;
      context.fillText(ends[i].textContent, left + [12, w / 2, w - 12][i], top + 66);
    });
  },
};
