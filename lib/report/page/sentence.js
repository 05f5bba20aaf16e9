/* sentence.js: a text that was explained: its words, what each carried, and whether what it names
 * is in the picture at all. */
const sentence = {
  keys: new Map(),

  /* A short key for a text and what was set against it. */
  key(map) {
    const both = JSON.stringify([map.text, map.versus_text]);
    if (!sentence.keys.has(both))
      sentence.keys.set(both, 't' + sentence.keys.size);
    return sentence.keys.get(both);
  },

  find: (text) => (stage.picture().sentences ?? []).find((s) => s.text === text),

  draw(map) {
    const box = ui.make('div', 'sentence');
    const found = sentence.find(map.text);
    if (found)
      box.append(sentence.line(found));
    if (map.versus_text) {
      const against = ui.make('p', 'note');
      against.append(ui.named(words.say('versus_text', {text: map.versus_text})));
      box.append(against);
    }
    if (map.among)
      box.append(ui.make('p', 'note', words.say('among_texts', {n: map.among})));
    const absent = Number.isFinite(map.probability) && map.probability < 0.5;
    box.append(ui.make('p', absent ? 'note absent' : 'note', sentence.verdict(map, absent)));
    if (found?.cut)
      box.append(ui.make('p', 'note', words.say('text_cut')));
    return box;
  },

  verdict(map, absent) {
    const numbers =
      words.say('text_numbers', {c: ui.number(map.text_value), e: ui.number(map.empty_value)});
    /* A model that judges each text by itself may give little to one that beats the empty text. */
    const key = !absent                ? 'text_here' :
      map.text_value > map.empty_value ? 'text_unlikely' :
                                         'text_absent';
    return `${numbers}. ${words.say(key, {p: ui.percent(map.probability)})}`;
  },

  /* The words, each with a line as thick as what it carried. */
  line(found) {
    const line = ui.make('p', 'words');
    line.title = words.say('words_note');
    const most = Math.max(...found.parts.map((p) => Math.abs(p[2] ?? 0)), 0);
    for (const [gap, word, relevance] of found.parts) {
      const part = most > 0 ? Math.abs(relevance ?? 0) / most : 0;
      const node = ui.make('span', relevance < 0 ? 'word against' : 'word', word);
      node.style.setProperty('--part', part.toFixed(3));
      node.title = words.say('word_says', {w: word, r: ui.number(relevance)});
      line.append(gap, node);
    }
    line.append(found.rest);
    return line;
  },
};
