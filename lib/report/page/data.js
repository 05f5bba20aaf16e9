/* data.js: the manifest and the blocks of the page. A block is the text of a script element that
 * no browser runs: a zlib stream in base64. It is read when it is needed, and its element is
 * removed, so that the text does not stay in memory beside the numbers. A block that is damaged
 * counts as absent, and the page names it. */
const data = {
  report: null,
  blocks: new Map(),
  pictures: [], /* for each: {maps: [], layers: [], pool, ready} */

  open() {
    const node = document.getElementById('vx-report');
    data.report = JSON.parse(node.textContent);
    node.remove();
    data.pictures = data.report.pictures.map((p) => ({
      maps: p.maps.map(() => null),
      layers: (p.attention?.layers ?? []).map(() => null),
      pool: null,
      broken: [], /* what could not be read: {map}, {layer} or {pool} */
      loading: null,
      done: false,
    }));
  },

  /* The bytes of a block; a promise. */
  block(id) {
    if (!data.blocks.has(id))
      data.blocks.set(id, data.read(id));
    return data.blocks.get(id);
  },

  async read(id) {
    const node = document.getElementById(id) ?? (await data.later(id));
    if (!node)
      throw new Error(id);
    const text = node.textContent;
    node.remove();
    return data.inflate(data.decode(text));
  },

  /* This script runs while the browser still reads the blocks below it. */
  async later(id) {
    if (document.readyState === 'loading')
      await new Promise(
        (resolve) => document.addEventListener('DOMContentLoaded', resolve, {once: true}));
    return document.getElementById(id);
  },

  decode(text) {
    if (Uint8Array.fromBase64)
      return Uint8Array.fromBase64(text);
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++)
      bytes[i] = binary.charCodeAt(i);
    return bytes;
  },

  /* Without a Blob or a Response: both may leave the process, and fail for large blocks. */
  async inflate(bytes) {
    const stream = new DecompressionStream('deflate');
    const writer = stream.writable.getWriter();
    const written = Promise.all([writer.write(bytes), writer.close()]);
    const pieces = [];
    let size = 0;
    const reader = stream.readable.getReader();
    const gather = async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        pieces.push(next.value);
        size += next.value.length;
      }
    };
    await Promise.all([written, gather()]);
    const out = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
      out.set(piece, at);
      at += piece.length;
    }
    return out;
  },

  half(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0)
      return sign * fraction * 2 ** -24;
    if (exponent === 31)
      return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  },

  halves(bytes, offset, count) {
    const out = new Float32Array(count);
    for (let i = 0; i < count; i++)
      out[i] = data.half(bytes[offset + 2 * i] | (bytes[offset + 2 * i + 1] << 8));
    return out;
  },

  /* Values of a map as its code says. */
  values(bytes, map) {
    const count = map.shape.reduce((a, b) => a * b, 1);
    const size = map.code === 'f32' ? 4 : map.code === 'f16' ? 2 : 1;
    if (bytes.length !== count * size)
      throw new Error(`${map.block}: ${bytes.length} / ${count * size}`);
    if (map.code === 'f16')
      return data.halves(bytes, 0, count);
    if (map.code === 'f32')
      return new Float32Array(bytes.buffer, bytes.byteOffset, count);
    return Float32Array.from(bytes, (byte) => byte / 255);
  },

  /* What make(bytes) makes of a block; null if there is none, or if it is damaged. */
  async part(p, id, what, make) {
    if (!id)
      return null;
    try {
      return make(await data.block(id));
    } catch {
      const {broken} = data.pictures[p];
      if (!broken.some((b) => JSON.stringify(b) === JSON.stringify(what)))
        broken.push(what);
      return null;
    }
  },

  /* false: damaged. */
  async loadMap(p, i) {
    const held = data.pictures[p];
    const map = data.report.pictures[p].maps[i];
    held.maps[i] ??=
      await data.part(p, map.block, {map: i}, (bytes) => data.values(bytes, map)) ?? false;
    return held.maps[i];
  },

  /* Every block of a layer that the file has. */
  async loadLayer(p, l) {
    const picture = data.report.pictures[p];
    const ids = picture.attention.layers[l];
    const heads = data.report.model.heads;
    const {tokens, prefix} = picture;
    const rows = (id, g, r) =>
      data.part(p, id, {layer: l}, (bytes) => new Rows(bytes, g, r, tokens, prefix));
    data.pictures[p].layers[l] = {
      all: await rows(ids.all, heads, tokens),
      mean: await rows(ids.mean, 1, tokens),
      read: await rows(ids.class, heads, 1),
      fused: await data.part(p, ids.fused, {layer: l},
        (bytes) => new Fused(bytes, ids.all ? heads : 1, tokens, prefix)),
    };
  },

  async loadPool(p) {
    const held = data.pictures[p];
    const {attention, tokens, prefix} = data.report.pictures[p];
    const {model} = data.report;
    const heads = model.pool_heads ?? model.heads; /* its own, or as many as a block's */
    held.pool = await data.part(
      p, attention?.pool, {pool: true}, (bytes) => new Rows(bytes, heads, 1, tokens, prefix));
    held.fused = await data.part(
      p, attention?.pool_fused, {pool: true}, (bytes) => new Fused(bytes, heads, tokens, prefix));
  },

  /* The rest of a picture, one block after the other, while nobody waits. step() is called after
   * each. */
  load(p, step) {
    const held = data.pictures[p];
    const picture = data.report.pictures[p];
    held.loading ??= (async () => {
      for (let i = 0; i < picture.maps.length; i++)
        await data.loadMap(p, i);
      step('maps');
      await data.loadPool(p);
      for (let l = held.layers.length - 1; l >= 0; l--) {
        await data.loadLayer(p, l);
        if (l === held.layers.length - 1)
          step('layer');
        await data.idle();
      }
      held.done = true;
      step('all');
      return held.broken.length === 0;
    })();
    return held.loading;
  },

  /* When the browser has nothing to do, but soon: without a limit Chromium may wait for ever while
   * no frame is drawn. */
  idle() {
    return new Promise((resolve) => {
      if (window.requestIdleCallback)
        requestIdleCallback(() => resolve(), {timeout: 50});
      else
        setTimeout(resolve);
    });
  },
};

/* Attention as a block has it: [heads, rows, tokens], the patches' weights as
 * scale * (byte / 255)^2. */
class Rows {
  constructor(bytes, heads, rows, tokens, prefix) {
    const all = heads * rows;
    const patches = tokens - prefix;
    if (bytes.length !== all * (2 + 2 * prefix + patches))
      throw new Error(`${bytes.length} / ${all * (2 + 2 * prefix + patches)}`);
    Object.assign(this, {heads, rows, tokens, prefix, patches});
    this.scale = data.halves(bytes, 0, all);
    this.first = data.halves(bytes, 2 * all, all * prefix);
    this.weight = bytes.subarray(2 * all * (1 + prefix));
  }

  /* out[at + t] += part * row[t] */
  add(out, at, head, row, part) {
    const {prefix, patches, weight} = this;
    const k = head * this.rows + row;
    const scale = part * this.scale[k];
    for (let t = 0; t < prefix; t++)
      out[at + t] += part * this.first[k * prefix + t];
    at += prefix;
    for (let i = 0, w = k * patches; i < patches; i++, w++)
      out[at + i] += scale * Rows.square[weight[w]];
  }

  /* out[at + q] += part * row[q][key] for all rows q. */
  addColumn(out, at, head, key, part) {
    const {prefix, patches, rows} = this;
    for (let q = 0; q < rows; q++) {
      const k = head * rows + q;
      out[at + q] += part *
        (key < prefix ? this.first[k * prefix + key] :
                        this.scale[k] * Rows.square[this.weight[k * patches + key - prefix]]);
    }
  }
}
Rows.square = Float64Array.from({length: 256}, (_, byte) => (byte / 255) * (byte / 255));

/* What rollout needs beside the coded attention of a block (lib/report/fused.h): the rows that the
 * model's head reads as they are, and which entries are the smallest. */
class Fused {
  constructor(bytes, heads, tokens, prefix) {
    const k = heads > 1 ? 3 : 1;
    const order = k * (4 * Fused.steps + tokens * tokens);
    this.fineRow = k === 3 ? (tokens - prefix + 7) >> 3 : 0;
    const ordered = bytes.length >= order;
    const rows = bytes.length - (ordered ? order + tokens * this.fineRow : 0);
    this.reads = rows / (4 * k * tokens);
    if (!Number.isInteger(this.reads))
      throw new Error(`${bytes.length} / ${order}`);
    const floats = new DataView(bytes.buffer, bytes.byteOffset);
    const read = (at, count) =>
      Float32Array.from({length: count}, (_, i) => floats.getFloat32(at + 4 * i, true));
    this.row = read(0, rows / 4);
    if (!ordered)
      return;
    this.limit = read(rows, k * Fused.steps);
    this.turn = new Int8Array(
      bytes.buffer, bytes.byteOffset + rows + 4 * k * Fused.steps, k * tokens * tokens);
    this.fine = bytes.subarray(rows + order);
  }

  /* The rows of fusion k, where the first of them belongs in F_l. */
  rowsOf(k, tokens) {
    const size = this.reads * tokens;
    return this.row.subarray(k * size, (k + 1) * size);
  }

  /* For each entry of F_l the index of the first step that drops it. */
  levels(k, f) {
    const limit = this.limit.subarray(k * Fused.steps, (k + 1) * Fused.steps);
    const turn = this.turn.subarray(k * f.length, (k + 1) * f.length);
    const out = new Uint8Array(f.length);
    for (let i = 0; i < f.length; i++) {
      let low = 0;
      let high = Fused.steps;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (limit[middle] >= f[i])
          high = middle;
        else
          low = middle + 1;
      }
      out[i] = low + turn[i];
    }
    return out;
  }
}
Fused.steps = 19; /* 5 % to 95 % of the entries */
Fused.names = ['mean', 'max', 'min'];

/* Questions to the attention of a picture. `head` is a number or 'mean'; `query` is a token's
 * number or 'class': what the model's head reads, which may be a mean over several tokens. Layer
 * number `depth` is a pooling head. */
class Attention {
  constructor(p) {
    const picture = data.report.pictures[p];
    const model = data.report.model;
    this.held = data.pictures[p];
    this.tokens = picture.tokens;
    this.prefix = picture.prefix;
    this.heads = model.heads;
    this.depth = this.held.layers.length;
    this.pool = Boolean(picture.attention?.pool);
    this.level = picture.attention?.level ?? 'none';
    const patches = model.pooling === 'avg' || model.pooling === 'map' || this.prefix === 0;
    this.read = patches              ? [this.prefix, this.tokens] :
      model.pooling === 'token+dist' ? [0, this.prefix] :
                                       [0, 1];
    this.readsToken = this.read[1] - this.read[0] === 1;
  }

  get layers() { return this.depth + (this.pool ? 1 : 0); }

  range(query) { return query === 'class' ? this.read : [query, query + 1]; }

  isRead(query) { return query === 'class' || (this.readsToken && query === this.read[0]); }

  /* Adds a row to out[at..]; false if the file does not hold it. */
  add(out, at, layer, head, query, by) {
    if (head === 'mean' &&
      !(layer < this.depth && !this.held.layers[layer]?.all && this.held.layers[layer]?.mean))
      return this.addMean(out, at, layer, query, by);
    if (layer === this.depth)
      return this.addPool(out, at, head, by);
    const has = this.held.layers[layer];
    const rows = head === 'mean' ? has.mean : has?.all;
    const [first, end] = this.range(query);
    if (rows) {
      const g = head === 'mean' ? 0 : head;
      for (let q = first; q < end; q++)
        if (by)
          rows.addColumn(out, at, g, q, 1 / (end - first));
        else
          rows.add(out, at, g, q, 1 / (end - first));
      return true;
    }
    if (!has?.read || by || !this.isRead(query))
      return false;
    has.read.add(out, at, head, 0, 1);
    return true;
  }

  addPool(out, at, head, by) {
    if (!this.held.pool || by || head >= this.held.pool.heads)
      return false;
    this.held.pool.add(out, at, head, 0, 1);
    return true;
  }

  headsOf(layer) { return layer === this.depth ? this.held.pool?.heads ?? 0 : this.heads; }

  addMean(out, at, layer, query, by) {
    const heads = this.headsOf(layer);
    for (let h = 0; h < heads; h++)
      if (!this.add(out, at, layer, h, query, by))
        return false;
    for (let t = 0; t < this.tokens && heads > 0; t++)
      out[at + t] /= heads;
    return heads > 0;
  }

  row(layer, head, query, by = false) {
    if (!(layer >= 0 && layer < this.layers) ||
      !(head === 'mean' || (head >= 0 && head < this.heads)) ||
      !(query === 'class' || (query >= 0 && query < this.tokens)))
      return null;
    const out = new Float32Array(this.tokens);
    return this.add(out, 0, layer, head, query, by) ? out : null;
  }
}
