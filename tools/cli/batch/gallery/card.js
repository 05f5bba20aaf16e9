/* card.js: a picture with a map over it, small or large. */
const card = {
  maps() { return gallery.run.maps; },

  source(base64) { return 'data:image/jpeg;base64,' + base64; },

  /* The values of a map as pixels, one each; the browser makes them large. */
  paint(canvas, map) {
    const values = atob(map.values);
    const bytes = Float32Array.from(values, (c) => c.charCodeAt(0));
    const count = map.width * map.height;
    const table = colour.table(map.signed ? 'coolwarm' : 'inferno', 1, map.signed, 'value');
    ui.pixels(canvas, map.width, map.height,
      (pixels) => colour.paint(pixels, 0, bytes, 0, Math.min(count, bytes.length), 0, 255, table));
  },

  over(map) {
    if (map.drawing) {
      const image = ui.make('img', 'drawing');
      image.alt = '';
      image.src = card.source(map.drawing);
      return image;
    }
    const canvas = ui.make('canvas');
    canvas.setAttribute('aria-hidden', 'true');
    card.paint(canvas, map);
    const [x0, y0, x1, y1] = map.box;
    canvas.classList.toggle('part', x0 > 0.004 || y0 > 0.004 || x1 < 0.996 || y1 < 0.996);
    canvas.style.left = 100 * x0 + '%';
    canvas.style.top = 100 * y0 + '%';
    canvas.style.width = 100 * (x1 - x0) + '%';
    canvas.style.height = 100 * (y1 - y0) + '%';
    return canvas;
  },

  /* The picture within a square. */
  frame(thumbnails, map) {
    const frame = ui.make('span', 'frame');
    const [width, height] = thumbnails.size ?? [1, 1];
    const longest = Math.max(width, height);
    frame.style.width = 100 * width / longest + '%';
    frame.style.height = 100 * height / longest + '%';
    const image = ui.make('img');
    image.alt = '';
    image.src = card.source(thumbnails.picture);
    frame.append(image);
    if (map && !map.nothing) {
      frame.classList.toggle('grey', map.signed === true);
      frame.append(card.over(map));
    }
    return frame;
  },

  /* Fills a .shot with what there is of a picture. map: its number, -1 for none. */
  fill(shot, picture, map) {
    const thumbnails = gallery.thumbnails(picture);
    const key = `${picture.at},${map},${thumbnails === null},${words.lang}`;
    ui.rebuild(shot, key, () => {
      if (thumbnails === null)
        return [ui.make('span', 'wait')];
      if (thumbnails === 'bad')
        return [ui.make('span', 'why', words.say('thumbnails'))];
      if (!thumbnails.picture)
        return [ui.make('span', 'why', ui.short(picture.error ?? words.say('failed'), 300))];
      const shown = [card.frame(thumbnails, map >= 0 ? thumbnails.maps?.[map] : null)];
      if (card.said(picture, map)?.absent)
        shown.push(ui.make('span', 'absent', words.say('absent')));
      return shown;
    });
    return thumbnails;
  },

  /* What is known of the text that the map explains; null: it explains none. */
  said(picture, map) { return picture.texts[view.textOf(map)] ?? null; },

  /* As the report page says it. */
  verdict(said) {
    const numbers =
      words.say('text_numbers', {c: ui.number(said.cosine), e: ui.number(said.empty)});
    /* A model that judges each text by itself may give little to one that beats the empty text. */
    const key = !said.absent   ? 'text_here' :
      said.cosine > said.empty ? 'text_unlikely' :
                                 'text_absent';
    return `${numbers}. ${words.say(key, {p: ui.percent(said.probability)})}`;
  },

  /* The line of a card for the text that the map explains, and what is read aloud. */
  caption(item, picture, map) {
    const said = card.said(picture, map);
    const line = item.querySelector('.of');
    line.hidden = !said;
    item.querySelector('.what').hidden = said !== null && picture.value === null;
    item.firstChild.setAttribute('aria-label', card.spoken(picture, map));
    ui.rebuild(line, `${map},${words.lang}`, () => {
      const text = gallery.run.texts[view.textOf(map)];
      line.title = said ? ui.short(`${text}: ${card.verdict(said)}`, 2000) : '';
      return said ?
        [
          ui.named(text), ui.make('span', 'part', words.say('cosine', {c: ui.number(said.cosine)}))
        ] :
        [];
    });
  },

  bar(share) {
    const bar = ui.make('span', 'bar-of');
    const inside = ui.make('span');
    inside.style.width = 100 * Math.min(1, Math.max(0, share)) + '%';
    bar.append(inside);
    return bar;
  },

  share(value) {
    const [low, high] = view.ends();
    return value === null ? 0 : (value - low) / (high - low);
  },

  spoken(picture, map) {
    const parts = [picture.key];
    if (picture.error !== null)
      parts.push(words.say('failed') + ': ' + picture.error);
    if (picture.value !== null)
      parts.push(view.className(picture) + ' ' + view.valueText(picture.value));
    const said = card.said(picture, map);
    if (said)
      parts.push(gallery.run.texts[view.textOf(map)] + ' ' +
          words.say('cosine', {c: ui.number(said.cosine)}),
        said.absent ? words.say('absent') : '');
    return ui.short(parts.filter(Boolean).join(', '), 400);
  },

  /* A card of the wall. */
  make(picture, open) {
    const item = ui.make('li');
    const button = ui.button('card', null, open);
    button.tabIndex = -1;
    const what = ui.make('span', 'what');
    if (picture.value !== null)
      what.append(
        ui.named(view.className(picture)), ui.make('span', 'part', view.valueText(picture.value)));
    else
      what.append(ui.make('span', 'part', picture.error !== null ? words.say('failed') : '–'));
    const name = ui.make('span', 'name');
    name.append(ui.named(picture.key.slice(picture.key.lastIndexOf('/') + 1)));
    name.title = ui.short(picture.key, 2000);
    button.append(ui.make('span', 'shot'), what, ui.make('span', 'of'), name);
    item.append(button);
    return item;
  },
};
