/* stage.js: the picture, what lies over it, and the legend. */
const stage = {
  cells: null,
  field: null,            /* what is over the left picture: see stage.fieldOf */
  photo: [128, 128, 128], /* mean colour, for the legend */
  blurred: new Map(),

  picture: () => data.report.pictures[state.now.p],

  /* ---------------------------------------------------------------- what is shown ----------- */

  /* A view as numbers: {shape, values, grid: values on the patches, signed, rgb, low, high,
   * weight, map}. null while it is not read yet; {missing: true} if the file does not hold it.
   * `view` is {name, target}, `at` the state with what the pointer previews. */
  fieldOf(view, at) {
    const picture = stage.picture();
    const [gh, gw] = picture.grid;
    if (view.name === 'live' || view.name === 'bench') {
      const values = view.name === 'live' ? attention.values(at) : bench.values(at);
      return values &&
        (values.missing ?
            values :
            stage.ranged(
              {shape: [gh, gw], values, grid: values, weight: view.name === 'live', view}, at));
    }
    const index = views.find(picture, view.name, view.target);
    const values = data.pictures[at.p].maps[index];
    if (index < 0 || values === false)
      return {missing: true, broken: values === false};
    if (!values)
      return null;
    const map = picture.maps[index];
    const field = {
      shape: map.shape,
      values: stage.smoothed(values, map),
      signed: map.signed,
      map,
      rgb: map.shape.length === 3,
      view
    };
    field.grid = stage.onGrid(field);
    return stage.ranged(field, at);
  },

  /* Signed maps on pixels are smoothed, as the picture file is (image/blur.c). */
  smoothed(values, map) {
    if (!(map.smooth > 0))
      return values;
    if (!stage.blurred.has(map))
      stage.blurred.set(map, stage.blur(values, map.shape[0], map.shape[1], map.smooth));
    return stage.blurred.get(map);
  },

  blur(values, height, width, sigma) {
    const radius = Math.floor(4 * sigma + 0.5);
    const weights =
      Array.from({length: 2 * radius + 1}, (_, k) => Math.exp(-0.5 * ((k - radius) / sigma) ** 2));
    const sum = weights.reduce((a, b) => a + b);
    const pass = (src, count, step, lines, lineStep) => {
      const out = new Float32Array(src.length);
      for (let line = 0; line < lines; line++)
        for (let i = 0; i < count; i++) {
          let v = 0;
          for (let k = -radius; k <= radius; k++) {
            const j = Math.min(count - 1, Math.max(0, i + k));
            v += weights[k + radius] * src[line * lineStep + j * step];
          }
          out[line * lineStep + i * step] = v / sum;
        }
      return out;
    };
    return pass(pass(values, width, 1, height, width), height, width, width, 1);
  },

  /* The mean over the pixels of each patch; for three components their length. */
  onGrid({shape, values}) {
    const [gh, gw] = stage.picture().grid;
    const [h, w, planes = 1] = shape;
    if (h === gh && w === gw && planes === 1)
      return values;
    const out = new Float32Array(gh * gw);
    for (let y = 0; y < gh; y++)
      for (let x = 0; x < gw; x++) {
        const [y0, y1] = [Math.floor(y * h / gh), Math.max(1, Math.floor((y + 1) * h / gh))];
        const [x0, x1] = [Math.floor(x * w / gw), Math.max(1, Math.floor((x + 1) * w / gw))];
        let sum = 0;
        for (let v = y0; v < y1; v++)
          for (let u = x0; u < x1; u++)
            for (let c = 0; c < planes; c++)
              sum += values[(v * w + u) * planes + c];
        out[y * gw + x] = sum / ((y1 - y0) * (x1 - x0) * planes);
      }
    return out;
  },

  top(values) {
    let most = 0;
    for (const v of values)
      most = Math.max(most, Math.abs(v));
    return most;
  },

  /* Sets low and high by the choice of scale. */
  ranged(field, at) {
    field.own =
      field.signed ? stage.top(field.values) : field.values.reduce((a, b) => Math.max(a, b), 0);
    let high = field.own;
    if (at.sc === 'fixed' && at.top > 0)
      high = at.top;
    else if (at.sc === 'layer' || at.sc === 'model')
      high = field.map ? stage.topOfMaps(field, at.sc === 'model') :
        field.weight   ? attention.top(at.sc === 'layer' ? at.l : -1) :
                         high;
    field.high = high;
    field.low = field.signed ? -high : 0;
    return field;
  },

  topOfMaps(field, all) {
    const tops =
      stage.picture()
        .maps.filter((m) => m.shape.length === 2 && (all || m.method === field.map.method))
        .map((m) => m.smooth > 0 ? 0 :
            m.signed             ? Math.max(Math.abs(m.min), Math.abs(m.max)) :
                                   m.max);
    return Math.max(field.own, ...tops);
  },

  left: (at) => ({name: at.map, target: at.c}),

  /* "kind:target" or a kind alone. */
  right(at) {
    const cut = at.b.lastIndexOf(':');
    return cut < 0 ? {name: at.b, target: at.c} :
                     {name: at.b.slice(0, cut), target: at.b.slice(cut + 1)};
  },

  /* ---------------------------------------------------------------- drawing ----------------- */

  colours: (field, at) => at.cm !== 'auto' ? at.cm :
    field.signed                           ? 'coolwarm' :
                                             'inferno',

  /* Automatic: a signed map shows the photo, in grey, where it says nothing. */
  mode(field, at) {
    if (at.mode !== 'auto')
      return at.mode;
    return field?.signed ? 'strength' : 'colour';
  },

  /* Two maps in one frame share the photo. */
  isGrey(field, at) {
    if (at.grey !== 'auto')
      return at.grey === 1;
    const both = at.b !== 'none' && at.cmp === 'wipe';
    return both ? Boolean(stage.field?.signed || stage.second?.signed) : Boolean(field?.signed);
  },

  table(field, at) {
    const mode = stage.mode(field, at);
    if (mode === 'spotlight')
      return colour.spotlight(at.y, field.signed);
    return colour.table(stage.colours(field, at), at.y, Boolean(field.signed),
      mode === 'strength' ? 'value' : 'full');
  },

  /* Values between the middles of the cells, for smooth drawing; the values are interpolated, not
   * their colours. */
  finer(values, h, w) {
    const times = Math.max(1, Math.floor(448 / Math.max(h, w)));
    const [H, W] = [h * times, w * times];
    const out = new Float32Array(H * W);
    const split = (i, count) => {
      const x = Math.min(count - 1, Math.max(0, (i + 0.5) / times - 0.5));
      const k = Math.min(Math.floor(x), Math.max(0, count - 2));
      return [k, Math.min(k + 1, count - 1), x - k];
    };
    const across = Array.from({length: W}, (_, x) => split(x, w));
    for (let y = 0; y < H; y++) {
      const [a, b, t] = split(y, h);
      for (let x = 0; x < W; x++) {
        const [c, d, s] = across[x];
        const upper = values[a * w + c] * (1 - s) + values[a * w + d] * s;
        const lower = values[b * w + c] * (1 - s) + values[b * w + d] * s;
        out[y * W + x] = upper * (1 - t) + lower * t;
      }
    }
    return [out, H, W];
  },

  paint(canvas, field, at) {
    if (!field || field.missing || stage.mode(field, at) === 'outline' || field.map?.nothing) {
      ui.canvas(canvas, 1, 1).clearRect(0, 0, 1, 1);
      return;
    }
    let [h, w] = field.shape;
    let {values} = field;
    if (field.rgb)
      ui.pixels(canvas, w, h, (pixels) => stage.paintRgb(pixels, values));
    else {
      if (at.s)
        [values, h, w] = stage.finer(values, h, w);
      ui.pixels(canvas, w, h,
        (pixels) => colour.paint(
          pixels, 0, values, 0, h * w, field.low, field.high, stage.table(field, at)));
    }
  },

  paintRgb(pixels, values) {
    const byte = (v) => Math.round(255 * Math.min(1, Math.max(0, v)));
    for (let i = 0; i < pixels.length; i++)
      pixels[i] =
        colour.pixel(byte(values[3 * i]), byte(values[3 * i + 1]), byte(values[3 * i + 2]), 255);
  },

  /* Indices of the strongest patches that together hold a share of the mass, strongest first. Mass
   * is what is above 0. */
  strongest(grid, share) {
    const order = Array.from(grid.keys())
                    .filter((i) => grid[i] > 0)
                    .sort((a, b) => grid[b] - grid[a] || a - b);
    const all = order.reduce((sum, i) => sum + grid[i], 0);
    let sum = 0;
    let count = 0;
    while (count < order.length && sum < share * all)
      sum += grid[order[count++]];
    return order.slice(0, count);
  },

  /* The border of a set of patches as a path in units of patches. */
  border(set, gh, gw) {
    const inside = (y, x) => y >= 0 && y < gh && x >= 0 && x < gw && set.has(y * gw + x);
    let path = '';
    for (const i of set) {
      const [y, x] = [Math.floor(i / gw), i % gw];
      path += (inside(y - 1, x) ? '' : `M${x} ${y}h1`) +
        (inside(y + 1, x) ? '' : `M${x} ${y + 1}h1`) + (inside(y, x - 1) ? '' : `M${x} ${y}v1`) +
        (inside(y, x + 1) ? '' : `M${x + 1} ${y}v1`);
    }
    return path;
  },

  outlinePath(field, at) {
    const [gh, gw] = stage.picture().grid;
    return stage.mode(field, at) === 'outline' && at.on && field?.grid ?
      stage.border(new Set(stage.strongest(field.grid, at.x / 100)), gh, gw) :
      '';
  },

  outline(svg, field, at) {
    const [gh, gw] = stage.picture().grid;
    const path = stage.outlinePath(field, at);
    svg.setAttribute('viewBox', `0 0 ${gw} ${gh}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    for (const node of svg.children)
      node.setAttribute('d', path);
  },

  /* ---------------------------------------------------------------- places ------------------ */

  /* The part that is drawn: the picture, and what the model saw beyond its borders. */
  union(picture) {
    const [w, h] = picture.size;
    const [x0, y0, x1, y1] = picture.seen;
    const box = [Math.min(0, x0), Math.min(0, y0), Math.max(w, x1), Math.max(h, y1)];
    return {x: box[0], y: box[1], w: box[2] - box[0], h: box[3] - box[1]};
  },

  put(node, [x0, y0, x1, y1], box) {
    Object.assign(node.style, {
      left: `${100 * (x0 - box.x) / box.w}%`,
      top: `${100 * (y0 - box.y) / box.h}%`,
      width: `${100 * (x1 - x0) / box.w}%`,
      height: `${100 * (y1 - y0) / box.h}%`,
    });
  },

  /* Photo and grid of another picture. */
  open() {
    const picture = stage.picture();
    const box = stage.union(picture);
    const still = document.getElementById(picture.still);
    const href = still.querySelector('image.base').getAttribute('href');
    const whole = [0, 0, ...picture.size];
    /* A picture of one row would be a line: beyond 6 to 1 it is stretched. */
    stage.aspect = Math.min(6, Math.max(1 / 6, box.w / box.h));
    for (const [id, frame] of [['photo', 'frame'], ['photo-b', 'frame-b']]) {
      const photo = ui.id(id) ?? ui.make('img');
      photo.id = 'vx-' + id;
      photo.src = href;
      photo.alt = picture.name;
      stage.put(photo, whole, box);
      ui.id(frame).style.aspectRatio = stage.aspect;
      ui.id(frame).prepend(photo);
    }
    for (const name
           of ['over', 'over-b', 'over-c', 'veil', 'veil-b', 'outline', 'outline-b', 'patches'])
      stage.put(ui.id(name), picture.seen, box);
    ui.id('photo').onload = () => {
      stage.measurePhoto();
      stage.legends();
    };
    stage.openCells();
  },

  openCells() {
    const [gh, gw] = stage.picture().grid;
    const root = ui.id('patches');
    root.style.backgroundSize = `${100 / gw}% ${100 / gh}%`;
    ui.id('veil-b').style.backgroundSize = root.style.backgroundSize;
    const handlers = {
      name: (r, c) => words.say('patch', {r, c}),
      point: (r, c, how) => main.pointPatch(r === null ? null : r * gw + c, how),
      choose: (r, c) => main.choosePatch(r * gw + c),
    };
    stage.cells =
      gh * gw <= 2000 ? new Cells(root, gh, gw, handlers) : new WideCells(root, gh, gw, handlers);
  },

  /* The mean colour of the photo: what the overlay is blended with. */
  measurePhoto() {
    const canvas = document.createElement('canvas');
    const context = ui.canvas(canvas, 16, 16);
    context.drawImage(ui.id('photo'), 0, 0, 16, 16);
    const {data: bytes} = context.getImageData(0, 0, 16, 16);
    stage.photo = [0, 1, 2].map((c) => {
      let sum = 0;
      for (let i = c; i < bytes.length; i += 4)
        sum += bytes[i];
      return sum / 256;
    });
  },

  draw() {
    const at = main.at();
    const wipe = at.b !== 'none' && at.cmp === 'wipe';
    const side = at.b !== 'none' && !wipe;
    stage.field = stage.fieldOf(stage.left(at), at);
    stage.second = at.b === 'none' ? null : stage.fieldOf(stage.right(at), at);
    stage.paint(ui.id('over'), stage.field, at);
    stage.paint(ui.id('over-b'), wipe ? stage.second : null, at);
    stage.paint(ui.id('over-c'), side ? stage.second : null, at);
    stage.outline(ui.id('outline'), stage.field, at);
    stage.outline(ui.id('outline-b'), side ? stage.second : null, at);
    stage.dress(at, wipe);
    ui.id('right').hidden = at.b === 'none';
    ui.id('frame-b').hidden = wipe;
    ui.id('frames').classList.toggle('two', side);
    stage.caption(ui.id('caption'), stage.field, stage.left(at), at);
    if (at.b !== 'none')
      stage.caption(ui.id('caption-b'), stage.second, stage.right(at), at);
    stage.legends();
    stage.markKept(at);
  },

  /* Opacity, wipe, size, grid. */
  dress(at, wipe) {
    const opacity = at.on ? at.a / 100 : 0;
    for (const name of ['over', 'over-b', 'over-c'])
      ui.id(name).style.opacity = opacity;
    for (const name of ['over', 'over-b', 'over-c'])
      ui.id(name).classList.toggle('soft', Boolean(at.s));
    ui.id('over').style.clipPath = wipe ? `inset(0 ${100 - at.w}% 0 0)` : '';
    ui.id('over-b').style.clipPath = wipe ? `inset(0 0 0 ${at.w}%)` : '';
    const [x0, , x1] = stage.picture().seen;
    const box = stage.union(stage.picture());
    ui.id('handle').hidden = ui.id('wipe-row').hidden = !wipe;
    ui.id('handle').style.left = `${100 * (x0 + (x1 - x0) * at.w / 100 - box.x) / box.w}%`;
    ui.id('patches').classList.toggle('lines', Boolean(at.g));
    ui.id('veil-b').classList.toggle('lines', Boolean(at.g));
    ui.id('photo').classList.toggle('grey', stage.isGrey(stage.field, at));
    ui.id('photo-b').classList.toggle('grey', stage.isGrey(stage.second, at));
    ui.id('frame').style.width = `${100 * at.z}%`;
    ui.id('viewer').style.setProperty('--aspect', stage.aspect);
    const most = `calc(var(--tall) * ${stage.aspect})`;
    for (const name of ['left', 'right'])
      ui.id(name).style.maxWidth = `max(240px, ${most})`;
    for (const name of ['scroll', 'frame-b'])
      ui.id(name).style.maxWidth = most;
  },

  markKept(at) {
    const prefix = stage.picture().prefix;
    const kept = state.now.q;
    stage.cells.mark('kept', kept !== 'class' && kept >= prefix ? [kept - prefix] : []);
    ui.id('patches').classList.toggle('asking', at.q !== 'class');
  },

  /* ---------------------------------------------------------------- words and legend -------- */

  /* A pooling head has a query of its own. */
  query(at) {
    return at.l === attention.source().depth ? words.say('pool') : attention.tokenName(at.q);
  },

  caption(node, field, view, at) {
    const parts = [];
    const map = field?.map;
    if (view.name === 'live') {
      parts.push(ui.make(
        'strong', '', words.say(at.d === 'to' ? 'to_long' : 'by_long', {q: stage.query(at)})));
      parts.push(attention.layerName(at.l), attention.headName(at.h));
    } else if (view.name === 'bench')
      parts.push(ui.make('strong', '', words.say('bench')));
    else if (view.name !== 'none') {
      parts.push(ui.make('strong', '', view.name.replace(/~\d+$/, '')));
      const target = views.targets(stage.picture()).find((t) => t.key === view.target);
      if (map && !map.uses_target)
        parts.push(words.say(data.report.model.units ? 'no_target_units' : 'no_target'));
      else if (target)
        parts.push(why.targetName(target));
      if (map && Number.isInteger(map.layer))
        parts.push(words.say('layer_n', {n: map.layer}));
      if (map && Number.isInteger(map.head))
        parts.push(words.say('head_n', {n: map.head}));
      if (map && Number.isInteger(map.query))
        parts.push(words.say('caption_query', {q: attention.tokenName(map.query)}));
    }
    node.replaceChildren();
    parts.forEach(
      (part, i) => node.append(...(i ? [ui.make('span', 'dot', ' · '), part] : [part])));
  },

  legends() {
    const at = main.at();
    stage.legend(ui.id('legend'), stage.field, at);
    if (at.b !== 'none')
      stage.legend(ui.id('legend-b'), stage.second, at);
  },

  legend(node, field, at) {
    const note = stage.note(field, at);
    const ramp = Boolean(field?.grid) && !field.rgb && !field.map?.nothing &&
      stage.mode(field, at) !== 'outline';
    const shape = [ramp, note].join();
    ui.rebuild(node, shape, () => {
      const parts = [];
      if (ramp) {
        const bar = ui.make('div', 'ramp');
        bar.append(ui.make('canvas'), ui.make('i', 'pin'));
        const ends = ui.make('div', 'ends');
        ends.append(ui.make('span'), ui.make('span'), ui.make('span'));
        parts.push(bar, ends);
      }
      if (note)
        parts.push(ui.make('p', 'note', note));
      return parts;
    });
    if (!ramp)
      return;
    const [low, middle, high] = node.querySelectorAll('.ends span');
    ui.text(low, stage.show(field, field.low));
    ui.text(middle, field.signed ? '0' : at.y === 1 ? stage.show(field, field.high / 2) : '');
    ui.text(high, stage.show(field, field.high));
    stage.ramp(node.querySelector('canvas'), field, at);
    stage.pin(node, field, main.peek.patch);
  },

  /* The colours as they look over the photo. */
  ramp(canvas, field, at) {
    const table = stage.mode(field, at) === 'outline' ? null : stage.table(field, at);
    const opacity = at.on ? at.a / 100 : 0;
    const grey = stage.photo.reduce((a, b) => a + b) / 3;
    const photo = stage.isGrey(field, at) ? [grey, grey, grey] : stage.photo;
    ui.pixels(canvas, 256, 1, (pixels) => {
      for (let i = 0; i < 256; i++) {
        const p = table ? table[Math.round(i / 255 * (colour.steps - 1))] : 0;
        const alpha = (p >>> 24) / 255 * opacity;
        const mix = (c) => Math.round(((p >>> (8 * c)) & 255) * alpha + photo[c] * (1 - alpha));
        pixels[i] = colour.pixel(mix(0), mix(1), mix(2), 255);
      }
    });
  },

  /* Where the patch under the pointer lies on the legend. */
  pin(node, field, patch) {
    const pin = node.querySelector('.pin');
    if (!pin)
      return;
    const known = patch !== null && patch !== undefined && field.high > field.low &&
      !(field.weight && main.peek.q !== undefined);
    pin.hidden = !known;
    if (known) {
      const at = (field.grid[patch] - field.low) / (field.high - field.low);
      pin.style.left = `${100 * Math.min(1, Math.max(0, at))}%`;
    }
  },

  note(field, at) {
    if (!field)
      return words.say('loading');
    if (field.missing)
      return words.say(field.broken ? 'broken' : 'missing');
    const notes = [];
    if (field.map?.nothing)
      notes.push(words.say('nothing'));
    if (field.rgb)
      notes.push(words.say('rgb'));
    if (stage.mode(field, at) === 'outline' && !field.rgb)
      notes.push(words.say('share_n', {n: at.x}));
    if (field.map && !field.signed && !field.rgb && field.map.min < 0)
      notes.push(words.say('below_zero'));
    if (field.map?.smooth > 0)
      notes.push(words.say('blurred', {s: ui.number(field.map.smooth)}));
    if (field.map?.on === 'input')
      notes.push(words.say('on_input'));
    return notes.join(words.lang === 'zh' ? '；' : '; ');
  },

  show: (field, v) => field?.weight ? ui.percent(v) : ui.number(v),

  /* What a patch of the view on the left is, for the label and the live region. While the pointer
   * asks for the patch's own row, this is still what the kept query gives to it. */
  patchText(patch) {
    const [, gw] = stage.picture().grid;
    const field = stage.shown ?? stage.field;
    const v = field?.grid ? stage.show(field, field.grid[patch]) : words.say('no_value');
    const text = words.say('patch_says', {r: Math.floor(patch / gw), c: patch % gw, v});
    if (!field?.weight)
      return text;
    return text + words.say('patch_' + state.now.d, {q: attention.tokenName(state.now.q)});
  },
};

/* Cells by arithmetic, for more patches than should be elements: one button over all of them, and
 * the same handlers. */
class WideCells {
  constructor(root, rows, columns, handlers) {
    Object.assign(this, {root, rows, columns, ...handlers, active: 0});
    this.button = ui.make('button', 'wide');
    this.button.type = 'button';
    this.box = ui.make('i', 'spot');
    root.removeAttribute('role');
    root.cellsAbort?.abort();
    root.cellsAbort = new AbortController();
    const {signal} = root.cellsAbort;
    root.replaceChildren(this.button, this.box);
    this.box.hidden = true;
    this.rename();
    this.button.addEventListener(
      'pointermove', (e) => e.pointerType !== 'touch' && this.go(this.at(e), 'pointer'), {signal});
    this.button.addEventListener(
      'pointerleave', () => this.point(null, null, 'pointer'), {signal});
    this.button.addEventListener('blur', () => this.point(null, null, 'focus'), {signal});
    this.button.addEventListener('click', (e) => {
      if (e.detail)
        this.active = this.at(e);
      this.choose(Math.floor(this.active / columns), this.active % columns, e);
    }, {signal});
    this.button.addEventListener('keydown', (e) => this.key(e), {signal});
  }

  rename() {
    this.button.setAttribute(
      'aria-label', words.say('patches') + ', ' + words.say('patches_help'));
  }

  at(e) {
    const box = this.root.getBoundingClientRect();
    const part = (v, count) => Math.min(count - 1, Math.max(0, Math.floor(v * count)));
    return part((e.clientY - box.top) / box.height, this.rows) * this.columns +
      part((e.clientX - box.left) / box.width, this.columns);
  }

  go(i, how) {
    if (i === this.last && how === 'pointer')
      return;
    this.last = this.active = i;
    this.spot(i);
    this.point(Math.floor(i / this.columns), i % this.columns, how);
  }

  spot(i) {
    this.box.hidden = false;
    Object.assign(this.box.style, {
      left: `${100 * (i % this.columns) / this.columns}%`,
      width: `${100 / this.columns}%`,
      top: `${100 * Math.floor(i / this.columns) / this.rows}%`,
      height: `${100 / this.rows}%`,
    });
  }

  key(e) {
    const step = {ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.columns,
      ArrowDown: this.columns}[e.key];
    if (!step || e.ctrlKey || e.metaKey || e.altKey)
      return;
    e.preventDefault();
    const to = this.active + step;
    const same = Math.abs(step) > 1 ||
      Math.floor(to / this.columns) === Math.floor(this.active / this.columns);
    if (to >= 0 && to < this.rows * this.columns && same)
      this.go(to, 'focus');
  }

  mark(className, wanted) {
    const [i] = [...wanted];
    this.box.classList.toggle('kept', i !== undefined);
    if (i !== undefined)
      this.spot(i);
    else
      this.box.hidden = true;
  }
}
