/* data.js: what the run holds. gallery.list and gallery.sheet are called by the scripts of the
 * shards, the only way in which a page on a disk can read another file. */
const gallery = {
  run: null,
  pictures: [], /* {key, error, class, value, label, texts, shard, row, at} in the run's order */
  lists: [],    /* [shard]: its pictures, until all have come */
  sheets: new Map(), /* shard -> rows, or null: on its way; 'bad': it cannot be read */
  answered: false,   /* some pictures have a class */
  undone: [],
  damaged: [],
  read: 0,
  most: 20000, /* thumbnails that are kept at once */
  heard: () => {},

  list(shard, rows) {
    if (Number.isInteger(shard) && Array.isArray(rows))
      gallery.lists[shard] =
        rows.filter(Array.isArray).map((row, i) => gallery.picture(row, shard, i));
  },

  /* What is known of a picture and a text; null: nothing. */
  said(text) {
    const [cosine, empty, probability] = Array.isArray(text) ? text : [];
    return Number.isFinite(cosine) ?
      {cosine, empty, probability, absent: Number.isFinite(probability) && probability < 0.5} :
      null;
  },

  picture([key, error, number, value, label, texts], shard, row) {
    return {
      key: String(key),
      error: typeof error === 'string' ? error : null,
      class: Number.isInteger(number) ? number : -1,
      value: Number.isFinite(value) ? value : null,
      label: typeof label === 'string' ? label : null,
      texts: Array.isArray(texts) ? texts.map(gallery.said) : [],
      shard,
      row,
    };
  },

  sheet(shard, rows) {
    if (Number.isInteger(shard) && Array.isArray(rows))
      gallery.sheets.set(shard, rows);
  },

  file(shard, ending) { return String(shard).padStart(5, '0') + ending; },

  /* true if the script came and ran. */
  script(name) {
    return new Promise((done) => {
      const node = document.createElement('script');
      const end = (good) => {
        node.remove();
        done(good);
      };
      node.addEventListener('load', () => end(true));
      node.addEventListener('error', () => end(false));
      node.src = name;
      document.head.append(node);
    });
  },

  async readList(shard) {
    const came = await gallery.script(gallery.file(shard, '.list.js'));
    if (!came && gallery.endless) /* the one before was the last */
      gallery.run.shards = shard;
    else if (!came)
      gallery.undone.push(shard);
    else if (!gallery.lists[shard])
      gallery.damaged.push(shard);
    gallery.read++;
    gallery.read = Math.min(gallery.read, gallery.run.shards);
  },

  /* All lists, a few at a time; tell() now and then. */
  async readLists(tell) {
    let next = 0;
    let told = performance.now();
    const worker = async () => {
      while (next < gallery.run.shards) {
        await gallery.readList(next++);
        if (performance.now() - told > 250) {
          told = performance.now();
          gallery.join();
          tell();
        }
      }
    };
    gallery.endless = gallery.run.shards < 0;
    if (gallery.endless)
      gallery.run.shards = Infinity;
    await Promise.all(Array.from({length: gallery.endless ? 1 : 8}, worker));
    gallery.join();
    tell();
  },

  join() {
    gallery.pictures = gallery.lists.flat();
    gallery.answered = gallery.pictures.some((p) => p.value !== null);
    gallery.pictures.forEach((p, i) => {
      p.at = i;
    });
  },

  /* The thumbnails of a picture; null: not yet; 'bad': there are none. */
  thumbnails(picture) {
    const rows = gallery.sheets.get(picture.shard);
    if (rows === undefined)
      gallery.fetch(picture.shard);
    else if (rows && rows !== 'bad') { /* the one that was used last comes last */
      gallery.sheets.delete(picture.shard);
      gallery.sheets.set(picture.shard, rows);
    }
    return rows === 'bad' ? 'bad' : rows ? rows[picture.row] ?? 'bad' : null;
  },

  async fetch(shard) {
    gallery.sheets.set(shard, null);
    await gallery.script(gallery.file(shard, '.js'));
    if (!gallery.sheets.get(shard))
      gallery.sheets.set(shard, 'bad');
    gallery.forget();
    gallery.heard();
  },

  forget() {
    let held = 0;
    for (const rows of gallery.sheets.values())
      held += rows ? rows.length : 0;
    for (const [shard, rows] of gallery.sheets) {
      if (held <= gallery.most)
        break;
      if (rows && rows !== 'bad') {
        held -= rows.length;
        gallery.sheets.delete(shard);
      }
    }
  },
};
