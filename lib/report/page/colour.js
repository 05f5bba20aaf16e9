/* colour.js: colour maps as tables of 32-bit pixels. The colour of a value is that of
 * lib/image/colormap.c. */
const colour = {
  names: Object.keys(colourPoints),
  diverging: ['coolwarm', 'rdbu'],
  steps: 1024, /* entries of a table */
  tables: new Map(),

  /* The colour of v in 0..1 as [red, green, blue]. */
  rgb(name, v) {
    const digits = colourPoints[name];
    const last = digits.length / 6 - 1;
    const x = v <= 0 ? 0 : v >= 1 ? last : v * last;
    const i = x < last ? Math.floor(x) : last - 1;
    const part = (k, c) => parseInt(digits.slice(6 * k + 2 * c, 6 * k + 2 * c + 2), 16);
    return [0, 1, 2].map((c) => {
      const a = part(i, c);
      return Math.floor(a + (x - i) * (part(i + 1, c) - a) + 0.5);
    });
  },

  /* A pixel as ImageData's bytes hold it: this works on little-endian machines, which all are
   * that run browsers. */
  pixel(
    red, green, blue, alpha) { return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0; },

  /* Position 0..1 of a table's entry after gamma. A diverging map bends on both sides of its
   * middle. */
  bend(at, gamma, signed) {
    if (!signed)
      return at ** gamma;
    const side = 2 * at - 1;
    return 0.5 + 0.5 * Math.sign(side) * Math.abs(side) ** gamma;
  },

  /* alpha: 'full', or 'value': the further from nothing, the more opaque; its power lifts weak
   * values to where they can be seen. */
  table(name, gamma, signed, alpha) {
    const key = [name, gamma, signed, alpha].join();
    if (!colour.tables.has(key)) {
      if (colour.tables.size > 40)
        colour.tables.clear();
      const table = new Uint32Array(colour.steps);
      for (let i = 0; i < colour.steps; i++) {
        const at = colour.bend(i / (colour.steps - 1), gamma, signed);
        const [r, g, b] = colour.rgb(name, at);
        const strength = signed ? Math.abs(2 * at - 1) : at;
        table[i] =
          colour.pixel(r, g, b, alpha === 'value' ? Math.round(255 * strength ** 0.6) : 255);
      }
      colour.tables.set(key, table);
    }
    return colour.tables.get(key);
  },

  /* A dark veil that opens where the value is large. */
  spotlight(gamma, signed) {
    const key = ['spotlight', gamma, signed].join();
    if (!colour.tables.has(key)) {
      const table = new Uint32Array(colour.steps);
      for (let i = 0; i < colour.steps; i++) {
        const at = colour.bend(i / (colour.steps - 1), gamma, signed);
        const strength = signed ? Math.abs(2 * at - 1) : at;
        table[i] = colour.pixel(8, 9, 12, Math.round(255 * (1 - strength)));
      }
      colour.tables.set(key, table);
    }
    return colour.tables.get(key);
  },

  /* Pixels of count values from low to high, from `from` on; a value that is no number is grey. */
  paint(pixels, at, values, from, count, low, high, table) {
    const scale = high > low ? (colour.steps - 1) / (high - low) : 0;
    const last = colour.steps - 1;
    for (let i = 0; i < count; i++) {
      const v = values[from + i];
      const k = Math.round((v - low) * scale);
      pixels[at + i] = v === v ? table[k < 0 ? 0 : k > last ? last : k] : 0xff808080;
    }
  },
};
