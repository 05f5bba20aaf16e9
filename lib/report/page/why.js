/* why.js: what the model answers, and the maps of all methods. */
const why = {
  targetName(target) {
    if (target.label) {
      const node = ui.named(target.label);
      return node;
    }
    return target.kind === 'unit' ? words.say('unit_n', {n: target.number}) :
      target.kind === 'vector'    ? words.say('a_vector') :
      target.kind === 'picture'   ? words.say('a_picture') :
                                    words.say('class_n', {n: target.number});
  },

  draw() {
    const picture = stage.picture();
    const targets = views.targets(picture);
    const classes = picture.predictions.length > 0;
    ui.text(ui.id('answer-title'), words.say(classes ? 'answer' : 'no_classes'));
    const key = [state.now.p, words.lang].join();
    ui.rebuild(ui.id('targets'), key, () => {
      const most = Math.max(...targets.map((t) => t.probability ?? t.logit ?? 0), 0);
      const list = [...targets.map((t) => why.target(t, most)), ...why.absent(targets)];
      if (!classes && picture.vector)
        list.push(ui.make('p', 'note',
          words.say('no_classes_note',
            {n: data.report.model.classes, norm: ui.number(picture.vector.norm)})));
      return list;
    });
    for (const node of ui.id('targets').querySelectorAll('button[data-target]'))
      node.setAttribute('aria-pressed', String(node.dataset.target === state.now.c));
    ui.id('answer').hidden = targets.length === 0 && !picture.vector;
    why.drawMethods(picture);
  },

  /* A class: a button with a bar, or what to do to get its map. */
  target(target, most) {
    const box = ui.make('div', 'target');
    const button = ui.button('answer', null, () => state.set({c: target.key}));
    button.dataset.target = target.key;
    const share = target.probability ?? (target.logit > 0 && most > 0 ? target.logit / most : 0);
    const bar = ui.make('i', 'fill');
    bar.style.setProperty('--part', `${100 * Math.min(1, Math.max(0, share))}%`);
    const name = ui.make('span', 'name');
    name.append(why.targetName(target));
    if (target.label && target.kind === 'class')
      name.append(' ', ui.make('small', '', String(target.number)));
    button.append(bar, name, ' ', ui.make('span', 'much', why.much(target)));
    button.disabled = !target.has;
    bar.hidden = !Number.isFinite(target.probability) && target.kind !== 'class';
    box.append(button);
    if (target.kind === 'text')
      box.append(sentence.draw(target.map));
    return box;
  },

  much(target) {
    if (Number.isFinite(target.probability))
      return ui.percent(target.probability);
    return Number.isFinite(target.logit) ? ui.number(target.logit) : '';
  },

  /* How to make the maps that are not here. */
  absent(targets) {
    const without = targets.filter((t) => !t.has && t.command);
    const fold = ui.make('details', 'how');
    fold.append(ui.make('summary', '', words.say('how_to', {n: without.length})));
    for (const target of without) {
      const line = ui.make('p', 'note');
      line.append(why.targetName(target));
      fold.append(line, ui.command(target.command));
    }
    return without.length ? [fold] : [];
  },

  drawMethods(picture) {
    const kinds = views.kinds(picture);
    ui.id('maps-hint').hidden = kinds.length < 2;
    ui.id('same').closest('label').hidden = kinds.length < 2;
    const node = ui.id('methods');
    ui.rebuild(node, [state.now.p, words.lang].join(), () => {
      const list = kinds.map(
        (kind) => why.card(kind.name, kind.name.replace(/~\d+$/, ''), terms.method(kind.method)));
      if (views.live(picture).includes('live'))
        list.push(why.card('live', words.say('live')));
      return list.length ? list : [ui.make('p', 'note', words.say('no_maps'))];
    });
    const at = {...main.at(), mode: 'colour', s: 0, sc: 'map'};
    const cards = [...node.querySelectorAll('button')];
    const fields = cards.map((card) => stage.fieldOf({name: card.dataset.view, target: at.c}, at));
    if (state.now.same)
      why.commonScale(fields);
    cards.forEach((card, i) => why.paintCard(card, fields[i], at));
  },

  /* All maps end at the largest value that one of them has. */
  commonScale(fields) {
    const scaled = fields.filter((f) => f?.values && !f.rgb);
    const high = Math.max(...scaled.map((f) => f.own), 0);
    for (const field of scaled) {
      field.high = high;
      field.low = field.signed ? -high : 0;
    }
  },

  card(name, title, tip) {
    const button = ui.button('map', null,
      (e) => e.shiftKey ? state.set({b: why.pair(name), cmp: state.now.cmp}) :
                          state.set({map: name, on: 1}));
    button.dataset.view = name;
    if (tip)
      button.title = tip;
    button.append(ui.make('canvas'), ui.make('span', 'name', title), ui.make('small'));
    return button;
  },

  /* How a kind is called beside: with the target, if it has one. */
  pair(name) {
    const picture = stage.picture();
    return views.pairs(picture).find((b) => b === name || b === name + ':' + state.now.c) ??
      'none';
  },

  paintCard(card, field, at) {
    const canvas = card.querySelector('canvas');
    const [gh, gw] = stage.picture().grid;
    canvas.style.aspectRatio = `${gw} / ${gh}`;
    stage.paint(canvas, field, at);
    card.setAttribute('aria-pressed', String(state.now.map === card.dataset.view));
    card.classList.toggle('second', state.now.b.split(':')[0] === card.dataset.view);
    card.disabled = Boolean(field?.missing);
    const small = card.querySelector('small');
    ui.text(small, why.rangeText(field));
  },

  rangeText(field) {
    if (!field || field.rgb)
      return '';
    if (field.missing)
      return words.say('not_computed');
    const [low, high] = [stage.show(field, field.low), stage.show(field, field.high)];
    return field.signed ? `± ${high}` : words.say('own_range', {low, high});
  },
};
