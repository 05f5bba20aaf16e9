/* state.js: what is on show, as one flat object. The fragment of the address holds what differs
 * from the default, so that a link shows the same view. Whatever the fragment says is checked
 * against this table and clamped: it can choose among what is there, nothing else. */
const state = {
  now: {},
  usual: {},

  /* name: [default, check]; a check gives the value to use, or undefined for the default. */
  table() {
    const {pictures, model} = data.report;
    const picture = pictures[state.now.p ?? 0];
    const number = (low, high, whole = true) => (text) => {
      const v = Number(text);
      if (text === '' || !Number.isFinite(v))
        return undefined;
      return Math.min(high, Math.max(low, whole ? Math.round(v) : v));
    };
    const one = (...all) => (text) => all.find((v) => String(v) === String(text));
    const layers = picture.attention ? picture.attention.layers.length : 0;
    const last = Math.max(0, layers - 1 + (picture.attention?.pool ? 1 : 0));
    const kinds = views.names(picture);
    return {
      p: [0, number(0, pictures.length - 1)],
      map: [kinds[0] ?? 'none', one(...kinds)],
      c: [views.firstTarget(picture), one(...views.targets(picture).map((t) => t.key))],
      b: ['none', one('none', ...views.pairs(picture))],
      cmp: ['side', one('side', 'wipe')],
      w: [50, number(0, 100)],
      l: [Math.max(0, layers - 1), number(0, last)],
      h: ['mean', (text) => text === 'mean' ? 'mean' : number(0, model.heads - 1)(text)],
      q: ['class', (text) => text === 'class' ? 'class' : number(0, picture.tokens - 1)(text)],
      d: ['to', one('to', 'by')],
      only: [0, one(0, 1)],
      on: [1, one(1, 0)],
      a: [65, number(0, 100)],
      mode: ['auto', one('auto', 'colour', 'strength', 'spotlight', 'outline')],
      cm: ['auto', one('auto', ...colour.names)],
      s: [0, one(0, 1)],
      g: [1, one(1, 0)],
      grey: ['auto', one('auto', 1, 0)],
      sc: ['map', one('map', 'layer', 'model', 'fixed')],
      top: [0, number(0, 1e9, false)],
      y: [1, number(0.2, 3, false)],
      x: [60, number(5, 95)],
      z: [1, one(1, 2, 4)],
      same: [0, one(0, 1)],
      rf: [0, number(0, Math.max(0, layers - 1))],
      ru: ['mean', one('mean', 'max', 'min')],
      rd: [0, (text) => Number(text) >= 0 ? bench.stepOf(text) / 20 : undefined],
      st: ['entropy', one('entropy', ...Object.keys(data.report.stats?.statistics ?? {}))],
    };
  },

  /* Takes what is known and valid of `wish`; the rest becomes the default. */
  clamp(wish) {
    const p = Number(wish.p);
    const count = data.report.pictures.length;
    state.now = {p: Number.isInteger(p) && p >= 0 && p < count ? p : 0};
    for (const [name, [usual, check]] of Object.entries(state.table())) {
      state.usual[name] = usual;
      state.now[name] = wish[name] === undefined ? usual : check(wish[name]) ?? usual;
    }
  },

  read() { state.clamp(Object.fromEntries(new URLSearchParams(location.hash.slice(1)))); },

  fragment() {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(state.now))
      if (value !== state.usual[name])
        parts.set(name, value);
    return parts.toString();
  },

  write() {
    const text = state.fragment();
    if (text !== location.hash.slice(1))
      history.replaceState(null, '', text ? '#' + text : location.pathname + location.search);
  },

  /* Changes some of it and draws. */
  set(changes) {
    state.clamp({...state.now, ...changes});
    clearTimeout(state.timer);
    state.timer = setTimeout(state.write, 80);
    main.draw();
  },
};

/* views: what can be on the picture. A view is named by a kind ("gradcam"), and by "kind:target"
 * where its map depends on the target. Beside the maps of the file there are two live kinds:
 * "live", attention as chosen, and "bench", the rollout of the page. */
const views = {
  cache: {kinds: new Map(), pairs: new Map(), targets: new Map()},

  /* What make() gave for the picture the first time: a page may have thousands of maps. */
  once(what, picture, make) {
    const known = views.cache[what];
    if (!known.has(picture))
      known.set(picture, make(picture));
    return known.get(picture);
  },

  kinds: (picture) => views.once('kinds', picture, views.findKinds),
  pairs: (picture) => views.once('pairs', picture, views.findPairs),
  targets: (picture) => views.once('targets', picture, views.findTargets),

  /* Maps that differ only in their target are one kind. */
  findKinds(picture) {
    const kinds = [];
    const seen = new Map();
    picture.maps.forEach((map, index) => {
      const same = JSON.stringify(
        [map.method, map.layer, map.head, map.query, map.settings, map.score, map.shape]);
      let kind = seen.get(same);
      if (!kind || kind.maps.has(views.key(map))) {
        const before = kinds.filter((k) => k.method === map.method).length;
        kind = {
          name: map.method + (before ? '~' + (before + 1) : ''),
          method: map.method,
          maps: new Map(),
          any: index,
          free: !map.uses_target,
          first: map
        };
        kinds.push(kind);
        seen.set(same, kind);
      }
      kind.maps.set(views.key(map), index);
    });
    return kinds;
  },

  /* A target as text: a class's number, or what else was explained. */
  key(map) {
    return map.explains === 'class' || map.explains === 'unit' ? String(map.target) :
      map.explains === 'text'                                  ? sentence.key(map) :
                                                                 map.explains;
  },

  names(picture) {
    return [...views.kinds(picture).map((k) => k.name), ...views.live(picture)];
  },

  live(picture) {
    const attention = picture.attention;
    if (!attention || attention.level === 'none')
      return [];
    return attention.layers.some((l) => !l.all && !l.mean) ? ['live'] : ['live', 'bench'];
  },

  /* "kind:target" of everything that can stand beside. */
  findPairs(picture) {
    const all = [];
    for (const kind of views.kinds(picture))
      for (const key of kind.maps.keys())
        all.push(kind.free ? kind.name : kind.name + ':' + key);
    return [...new Set([...all, ...views.live(picture)])];
  },

  firstTarget(picture) {
    return picture.maps.length ? views.key(picture.maps[0]) :
                                 String(picture.predictions[0]?.index ?? 'none');
  },

  /* Predictions, then what else has a map or a command. */
  findTargets(picture) {
    const kinds = views.kinds(picture);
    const has = (key) => kinds.some((k) => !k.free && k.maps.has(key));
    const commands = new Map(data.report.absent.map((a) => [String(a.target), a]));
    const list = picture.predictions.map((p) => ({
      key: String(p.index),
      kind: 'class',
      number: p.index,
      label: p.label,
      probability: p.probability,
      logit: p.logit,
    }));
    for (const map of picture.maps)
      if (!list.some((t) => t.key === views.key(map)) && map.uses_target)
        list.push({
          key: views.key(map),
          kind: map.explains,
          number: map.target,
          label: map.label,
          probability: map.probability,
          logit: map.value ?? map.logit,
          map
        });
    if (data.report.pictures.length === 1)
      for (const [key, a] of commands)
        if (!list.some((t) => t.key === key))
          list.push({
            key,
            kind: 'class',
            number: a.target,
            label: a.label,
            probability: null,
            logit: null
          });
    const free = kinds.length > 0 && kinds.every((k) => k.free);
    for (const target of list) {
      target.command = commands.get(target.key)?.command ?? null;
      target.has = has(target.key) || (free && !target.command);
      target.label ??= commands.get(target.key)?.label ?? null;
    }
    return list;
  },

  /* The number of the map of a kind and a target in picture.maps, or -1. */
  find(picture, name, target) {
    const kind = views.kinds(picture).find((k) => k.name === name);
    if (!kind)
      return -1;
    return kind.maps.get(target) ?? (kind.free ? kind.any : -1);
  },
};
