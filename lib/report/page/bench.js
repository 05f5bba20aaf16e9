/* bench.js: attention rollout, computed in the page from the embedded attention exactly as
 * lib/explain/rollout.c computes it:
 *
 *     F_l = heads of A_l fused, the smallest entries dropped;  B_l = rownorm(F_l + I);
 *     row of the query in B_last ... B_first
 *
 * Only the row is followed, so a step costs T^2. */
const bench = {
  fused: new Map(), /* F_l before anything is dropped: "picture,fusion" -> [Float32Array] */
  last: null,       /* {key, row} */

  /* Which fusions the file allows; none if it lacks a layer. */
  fusions(p) {
    const ids = data.report.pictures[p].attention?.layers ?? [];
    if (ids.length === 0 || ids.some((l) => !l.all && !l.mean))
      return [];
    return ids.every((l) => l.all) ? ['mean', 'max', 'min'] : ['mean'];
  },

  /* The patches' part of the row; null while layers are missing. */
  values(at) {
    const {rf: first, ru: fusion, rd: discard} = at;
    if (!bench.fusions(at.p).includes(fusion))
      return {missing: true};
    if (!data.pictures[at.p].done)
      return null;
    const key = [at.p, first, fusion, discard].join();
    if (bench.last?.key !== key)
      bench.last = {key, row: bench.run(attention.of(at.p), first, fusion, discard)};
    return bench.last.row.subarray(attention.of(at.p).prefix);
  },

  run(source, first, fusion, discard) {
    const start = performance.now();
    const t = source.tokens;
    let row = bench.begin(source, fusion);
    const matrices = bench.matrices(source, fusion);
    const space = new Float32Array(t * t);
    for (let l = source.depth - 1; l >= first; l--) {
      let f = matrices ? matrices[l] : bench.fuse(source, l, fusion, space);
      const drop = Math.trunc(t * t * discard);
      if (drop > 0) {
        space.set(f);
        f = bench.drop(space, drop);
      }
      row = bench.step(row, f, t);
    }
    performance.measure('vx-rollout', {start, end: performance.now()});
    bench.took = performance.now() - start;
    return Float32Array.from(row);
  },

  /* The row to start with: the query that the head reads, or the fused rows of a pooling head. */
  begin(source, fusion) {
    const t = source.tokens;
    const row = new Float64Array(t);
    if (!source.pool) {
      const [first, end] = source.read;
      return row.fill(1 / (end - first), first, end);
    }
    const heads = new Float32Array(t);
    for (let h = 0; h < source.heads; h++) {
      heads.fill(0);
      source.add(heads, 0, source.depth, h, 'class', false);
      for (let i = 0; i < t; i++)
        row[i] = h === 0 ? heads[i] : bench.join(row[i], heads[i], fusion);
    }
    const sum = row.reduce((a, b) => a + b, 0);
    return sum > 0 ? row.map((v) => v / sum) : row;
  },

  join: (a, b, fusion) => fusion === 'max' ? Math.max(a, b) :
    fusion === 'min'                       ? Math.min(a, b) :
                                             a + b,

  /* F_l of all layers, kept if they are not too large: 64 MB. */
  matrices(source, fusion) {
    const t = source.tokens;
    if (4 * t * t * source.depth > 64e6)
      return null;
    const key = [data.pictures.indexOf(source.held), fusion].join();
    if (!bench.fused.has(key)) {
      if (bench.fused.size > 2)
        bench.fused.clear();
      bench.fused.set(key,
        Array.from({length: source.depth},
          (_, l) => bench.fuse(source, l, fusion, new Float32Array(t * t))));
    }
    return bench.fused.get(key);
  },

  fuse(source, l, fusion, out) {
    const {all, mean} = source.held.layers[l];
    const t = source.tokens;
    out.fill(0);
    const heads = all ? source.heads : 1;
    if (fusion === 'mean' || !all) {
      for (let h = 0; h < heads; h++)
        for (let q = 0; q < t; q++)
          (all ?? mean).add(out, q * t, h, q, 1 / heads);
      return out;
    }
    return bench.extreme(all, t, fusion === 'max', out);
  },

  extreme(all, t, most, out) {
    const row = new Float32Array(t);
    for (let h = 0; h < all.heads; h++)
      for (let q = 0; q < t; q++) {
        row.fill(0);
        all.add(row, 0, h, q, 1);
        for (let i = 0, at = q * t; i < t; i++, at++)
          if (h === 0 || (most ? row[i] > out[at] : row[i] < out[at]))
            out[at] = row[i];
      }
    return out;
  },

  /* Sets the `count` smallest entries to 0, except entry 0. Weights are not negative, so their
   * bits are ordered as they are: the count-th smallest is found by its upper, then its lower
   * half. */
  drop(f, count) {
    const bits = new Uint32Array(f.buffer, f.byteOffset, f.length);
    const upper = new Uint32Array(65536);
    for (const b of bits)
      upper[b >>> 16]++;
    let left = count;
    let high = 0;
    while (left > upper[high])
      left -= upper[high++];
    const lower = new Uint32Array(65536);
    for (const b of bits)
      if (b >>> 16 === high)
        lower[b & 65535]++;
    let low = 0;
    while (left > lower[low])
      left -= lower[low++];
    const limit = high * 65536 + low;
    for (let i = 0; i < bits.length; i++)
      if ((bits[i] < limit || (bits[i] === limit && left-- > 0)) && i > 0)
        bits[i] = 0;
    return f;
  },

  step(row, f, t) {
    const out = new Float64Array(t);
    for (let i = 0, at = 0; i < t; i++, at += t) {
      if (row[i] === 0)
        continue;
      let sum = 1;
      for (let j = 0; j < t; j++)
        sum += f[at + j];
      const scale = row[i] / sum;
      for (let j = 0; j < t; j++)
        out[j] += scale * f[at + j];
      out[i] += scale;
    }
    return out;
  },

  draw() {
    const fusions = bench.fusions(state.now.p);
    const box = ui.id('bench');
    box.hidden = attention.of(state.now.p).depth === 0;
    const able = fusions.length > 0;
    for (const name of ['first', 'fusion', 'discard', 'bench-show'])
      ui.id(name).disabled = !able;
    ui.text(ui.id('first-now'), String(state.now.rf));
    ui.text(ui.id('discard-now'), Math.round(100 * state.now.rd) + ' %');
    const map = ui.id('bench-map');
    map.hidden = !able;
    if (!box.open && state.now.map !== 'bench')
      return;
    const at = {...main.at(), mode: 'colour', s: 0, sc: 'map'};
    const [gh, gw] = stage.picture().grid;
    map.style.aspectRatio = `${gw} / ${gh}`;
    const field = stage.fieldOf({name: 'bench', target: null}, at);
    stage.paint(map, field, at);
    ui.text(ui.id('bench-note'), bench.note(fusions, field));
  },

  note(fusions, field) {
    if (fusions.length === 0)
      return words.say('bench_needs');
    if (!field)
      return words.say('loading');
    const notes = [words.say('took', {ms: ui.number(bench.took)})];
    if (fusions.length === 1)
      notes.push(words.say('bench_mean'));
    if (state.now.rd > 0)
      notes.push(words.say('bench_rough'));
    return notes.join(words.lang === 'zh' ? '。' : '. ');
  },
};
