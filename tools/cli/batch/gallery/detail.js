/* detail.js: one picture with all that the run says of it. */
const detail = {
  at: -1,

  open(at) {
    detail.at = at;
    detail.draw();
    if (!ui.id('dialog').open)
      ui.id('dialog').showModal();
  },

  step(by) {
    const at = detail.at + by;
    if (at >= 0 && at < wall.count)
      detail.open(at);
  },

  draw() {
    const picture = view.shown[detail.at];
    if (!picture)
      return;
    const thumbnails = card.fill(ui.id('shot'), picture, view.state.map);
    const rest = thumbnails && thumbnails !== 'bad' ? thumbnails : {};
    ui.id('shot').hidden = rest === thumbnails && !rest.picture;
    ui.id('name').replaceChildren(ui.broken(ui.named(picture.key)));
    ui.text(ui.id('place'),
      words.say('place', {n: words.number(detail.at + 1), all: words.number(wall.count)}));
    ui.id('before').disabled = detail.at === 0;
    ui.id('after').disabled = detail.at === wall.count - 1;
    ui.id('error').hidden = picture.error === null;
    ui.text(ui.id('error'), ui.short(picture.error ?? '', 2000));
    const said = card.said(picture, view.state.map);
    ui.id('verdict').hidden = !said;
    ui.text(ui.id('verdict'),
      said ? `${gallery.run.texts[view.textOf(view.state.map)]}: ${card.verdict(said)}` : '');
    detail.drawTop(rest.top ?? []);
    detail.drawFacts(picture, rest);
    detail.drawMaps(picture, rest);
  },

  drawTop(top) {
    ui.id('top').replaceChildren(...top.flatMap(
      ([number, value, label]) => [ui.named(label ?? words.say('class_n', {n: number})),
        ui.make('span', 'part', view.valueText(value)),
        card.bar(card.share(value)),
    ]));
  },

  drawFacts(picture, {size, report}) {
    const shard = picture.shard;
    ui.text(ui.id('facts'),
      size ? words.say('facts', {width: size[0], height: size[1], shard}) :
             words.say('facts_short', {shard}));
    const link = ui.make('a', '', words.say('report'));
    ui.id('report').hidden = typeof report !== 'string' || !report.startsWith('../pages/');
    if (!ui.id('report').hidden)
      link.href =
        report.split('/').map((part) => part === '..' ? part : encodeURIComponent(part)).join('/');
    ui.id('report').replaceChildren(link);
  },

  mapButton(picture, thumbnails, i) {
    const map = i < 0 ? null : thumbnails.maps[i];
    const button = ui.button('', null, () => main.set({map: i}));
    button.setAttribute('aria-pressed', String(view.state.map === i));
    const shot = ui.make('span', 'shot');
    shot.append(card.frame(thumbnails, map));
    const name = ui.make('span', '', i < 0 ? words.say('plain') : card.maps()[i]);
    const note = i < 0   ? '' :
      !map               ? words.say('missing') :
      map.nothing        ? words.say('nothing') :
      map.label !== null ? map.label :
      map.target >= 0    ? words.say('class_n', {n: map.target}) :
                           '';
    const more = ui.make('small');
    more.append(ui.named(note));
    button.append(shot, name, more);
    const said = map && card.said(picture, i);
    if (said)
      button.append(ui.make('small', '',
        words.say('cosine', {c: ui.number(said.cosine)}) +
          (said.absent ? ' · ' + words.say('absent') : '')));
    return button;
  },

  drawMaps(picture, thumbnails) {
    const had = ui.id('maps').contains(document.activeElement);
    const buttons = [];
    if (thumbnails.picture && thumbnails.maps?.length)
      for (let i = -1; i < thumbnails.maps.length; i++)
        buttons.push(detail.mapButton(picture, thumbnails, i));
    ui.id('maps').replaceChildren(...buttons);
    if (had)
      ui.id('maps').querySelector('[aria-pressed=true]')?.focus();
  },

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, select'))
      return;
    const step = {ArrowLeft: -1, ArrowRight: 1}[e.key];
    if (!step)
      return;
    e.preventDefault();
    detail.step(step);
  },

  start() {
    ui.id('before').addEventListener('click', () => detail.step(-1));
    ui.id('after').addEventListener('click', () => detail.step(1));
    ui.id('close').addEventListener('click', () => ui.id('dialog').close());
    ui.id('dialog').addEventListener('keydown', detail.key);
    ui.id('dialog').addEventListener(
      'click', (e) => e.target === ui.id('dialog') && ui.id('dialog').close());
    ui.id('dialog').addEventListener('close', () => wall.focus(detail.at));
  },
};
