/* bench.js: attention rollout, computed in the page from the embedded attention exactly as
 * lib/explain/rollout.c computes it:
 *
 *     F_l = heads of A_l fused, the smallest entries dropped;  B_l = rownorm(F_l + I);
 *     row of the query in B_last ... B_first
 *
 * Only the row is followed, so a step costs T^2. */
const bench = {
  /* "picture,fusion" -> for each layer {f: F_l before anything is dropped, levels: which step drops
   * an entry} */
  fused: new Map(),
  last: null, /* {key, row} */

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
    const held = data.pictures[at.p];
    if (!held.done)
      return null;
    if (held.broken.some((b) => b.map === undefined))
      return {missing: true, broken: true};
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
    const step = bench.stepOf(discard);
    for (let l = source.depth - 1; l >= first; l--) {
      const one = matrices ? matrices[l] : {f: bench.fuse(source, l, fusion, space)};
      if (step > 0)
        bench.drop(source, l, fusion, one, step, space);
      row = bench.step(row, step > 0 ? space : one.f, t);
    }
    performance.measure('vx-rollout', {start, end: performance.now()});
    bench.took = performance.now() - start;
    return Float32Array.from(row);
  },

  /* Discard in steps of 5 %: those that the file has the order for. */
  stepOf: (discard) => Math.min(Fused.steps, Math.max(0, Math.round(20 * discard))),

  /* The row to start with: the query that the head reads, or the fused rows of a pooling head. */
  begin(source, fusion) {
    const t = source.tokens;
    const row = new Float64Array(t);
    if (!source.pool) {
      const [first, end] = source.read;
      return row.fill(1 / (end - first), first, end);
    }
    row.set(source.held.fused.rowsOf(Fused.names.indexOf(fusion), t));
    const sum = row.reduce((a, b) => a + b, 0);
    return sum > 0 ? row.map((v) => v / sum) : row;
  },

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
          (_, l) => ({f: bench.fuse(source, l, fusion, new Float32Array(t * t))})));
    }
    return bench.fused.get(key);
  },

  fuse(source, l, fusion, out) {
    const {all, mean, fused} = source.held.layers[l];
    const t = source.tokens;
    out.fill(0);
    if (fusion === 'mean' || !all) {
      const heads = all ? source.heads : 1;
      for (let h = 0; h < heads; h++)
        for (let q = 0; q < t; q++)
          (all ?? mean).add(out, q * t, h, q, 1 / heads);
    } else if (fusion === 'max')
      bench.largest(all, t, out);
    else
      bench.smallest(all, t, fused, out);
    out.set(fused.rowsOf(Fused.names.indexOf(fusion), t), fused.reads ? t * source.read[0] : 0);
    return out;
  },

  largest(all, t, out) {
    const row = new Float32Array(t);
    for (let h = 0; h < all.heads; h++)
      for (let q = 0; q < t; q++) {
        row.fill(0);
        all.add(row, 0, h, q, 1);
        for (let i = 0, at = q * t; i < t; i++, at++)
          if (row[i] > out[at])
            out[at] = row[i];
      }
  },

  /* The file says in which half of its step each smallest weight lies. */
  smallest(all, t, {fine, fineRow}, out) {
    const {prefix, patches, weight, scale, rows} = all;
    out.fill(Infinity);
    const least = new Uint8Array(patches);
    const scales = new Float32Array(patches);
    for (let q = 0; q < t; q++) {
      const at = q * t + prefix;
      for (let h = 0; h < all.heads; h++) {
        const k = h * rows + q;
        for (let i = 0; i < prefix; i++)
          out[q * t + i] = Math.min(out[q * t + i], all.first[k * prefix + i]);
        for (let i = 0, w = k * patches; i < patches; i++, w++) {
          const v = Math.fround(scale[k] * Rows.square[weight[w]]);
          if (v < out[at + i]) {
            out[at + i] = v;
            least[i] = weight[w];
            scales[i] = scale[k];
          }
        }
      }
      for (let i = 0; fine && i < patches; i++)
        if (least[i] > 0) {
          const up = fine[q * fineRow + (i >> 3)] >> (i & 7) & 1;
          const root = (least[i] + (up ? 0.25 : -0.25)) / 255;
          out[at + i] = scales[i] * (root * root);
        }
    }
  },

  /* F_l into out, without the smallest entries; entry 0 always stays. */
  drop(source, l, fusion, one, step, out) {
    const {f} = one;
    one.levels ??= source.held.layers[l].fused.levels(Fused.names.indexOf(fusion), f);
    const {levels} = one;
    const first = f[0];
    for (let i = 0; i < f.length; i++)
      out[i] = levels[i] < step ? 0 : f[i];
    out[0] = first;
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
    ui.id('discard').disabled = !able || stage.picture().tokens > 4096;
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
    if (field.broken)
      return words.say('broken');
    const notes = [words.say('took', {ms: ui.number(bench.took)})];
    if (fusions.length === 1)
      notes.push(words.say('bench_mean'));
    return notes.join(words.lang === 'zh' ? '。' : '. ');
  },
};
