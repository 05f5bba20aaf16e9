/* view.js: which pictures are on show, and in what order; the address keeps it. */
const view = {
  state: null,
  shown: [],

  plain() {
    return {
      q: '',
      class: -1,
      text: -1, /* twice a text's number: it is here; and one more: it is not */
      low: 0,
      high: 100,
      show: 'all',
      sort: 'order',
      map: 0,
      opacity: 80,
      size: 176,
      lang: '',
      theme: 'auto',
    };
  },

  choices: {
    show: ['all', 'good', 'failed'],
    sort: ['order', 'surest', 'unsurest', 'match', 'name', 'class'],
    lang: ['', 'en', 'zh'],
    theme: ['auto', 'light', 'dark'],
  },
  bounds: {
    class: [-1, 1e9],
    text: [-1, 2e6],
    low: [0, 100],
    high: [0, 100],
    map: [-1, 1e4],
    opacity: [0, 100],
    size: [96, 320]
  },

  /* What the address says, within what there is. */
  fromAddress() {
    const state = view.plain();
    const said = new URLSearchParams(location.hash.slice(1, 4000));
    state.q = (said.get('q') ?? '').slice(0, 300);
    for (const [key, all] of Object.entries(view.choices))
      if (all.includes(said.get(key)))
        state[key] = said.get(key);
    for (const [key, [least, most]] of Object.entries(view.bounds)) {
      const n = Number(said.get(key) ?? NaN);
      if (Number.isInteger(n))
        state[key] = Math.min(most, Math.max(least, n));
    }
    state.text = Math.min(state.text, 2 * gallery.run.texts.length - 1);
    state.map = Math.min(state.map, gallery.run.maps.length - 1);
    if (state.low > state.high)
      [state.low, state.high] = [state.high, state.low];
    view.state = state;
  },

  toAddress() {
    const said = new URLSearchParams();
    const plain = view.plain();
    for (const [key, value] of Object.entries(view.state))
      if (value !== plain[key])
        said.set(key, value);
    const text = said.toString();
    history.replaceState(null, '', text ? '#' + text : location.pathname + location.search);
  },

  filtered() {
    const {q, class: wanted, text, low, high, show} = view.state;
    return q !== '' || wanted >= 0 || text >= 0 || low > 0 || high < 100 || show !== 'all';
  },

  /* The ends of the values: 0 and 1 where they are probabilities. */
  ends() {
    if (gallery.run.probable)
      return [0, 1];
    let low = Infinity, high = -Infinity;
    for (const p of gallery.pictures)
      if (p.value !== null) {
        low = Math.min(low, p.value);
        high = Math.max(high, p.value);
      }
    return low < high ? [low, high] : [0, 1];
  },

  /* But for the confidence: what the histogram counts. */
  fits(p, q) {
    const {class: wanted, text, show} = view.state;
    return (text < 0 || p.texts[text >> 1]?.absent === (text % 2 === 1)) &&
      (wanted < 0 || p.class === wanted) &&
      (show === 'all' || (show === 'failed') === (p.error !== null)) &&
      (!q || p.key.toLowerCase().includes(q));
  },

  choose() {
    const {low, high, sort} = view.state;
    const q = view.state.q.toLowerCase();
    const [from, to] = view.ends();
    const least = from + (to - from) * low / 100, most = from + (to - from) * high / 100;
    const free = low === 0 && high === 100;
    view.candidates = gallery.pictures.filter((p) => view.fits(p, q));
    view.shown = free ?
      view.candidates :
      view.candidates.filter((p) => p.value !== null && p.value >= least && p.value <= most);
    const order = view.orders[sort];
    if (order)
      view.shown = [...view.shown].sort((a, b) => order(a, b) || a.at - b.at);
  },

  /* The text that a map explains, by its number; -1: none. */
  textOf(map) { return gallery.run.text_of[map] ?? -1; },

  /* The cosine with the text that is asked about: of the filter, or of the map. */
  match(p) {
    const {text, map} = view.state;
    const asked = text >= 0 ? text >> 1 : Math.max(0, view.textOf(map));
    return p.texts[asked]?.cosine ?? -Infinity;
  },

  /* Pictures without an answer come last. */
  orders: {
    surest: (a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity) || 0,
    unsurest: (a, b) => (a.value ?? Infinity) - (b.value ?? Infinity) || 0,
    match: (a, b) => view.match(b) - view.match(a) || 0,
    name: (a, b) => a.key < b.key ? -1 :
      a.key > b.key               ? 1 :
                                    0,
    class: (a, b) => (a.class < 0) - (b.class < 0) || a.class - b.class ||
      (b.value ?? -Infinity) - (a.value ?? -Infinity) || 0,
  },

  className(p) { return p.label ?? (p.class >= 0 ? words.say('class_n', {n: p.class}) : ''); },

  valueText(v) { return gallery.run.probable ? ui.percent(v) : ui.number(v); },
};
