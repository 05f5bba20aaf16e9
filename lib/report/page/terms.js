/* terms.js: what the words of the page mean. A fold of each part lists those that the part uses:
 * [English name, explanation, Chinese name, explanation]. */
const terms = {
  /* Which words a part explains, for the picture on show. */
  parts: {
    picture: () => ['map', 'drawn', 'scale', 'gamma', 'strongest', 'smooth'],
    answer: () => stage.picture().predictions.length > 0 ? ['class', 'probability', 'logit'] :
                                                           ['similarity', 'unit'],
    attention() {
      const source = attention.source();
      const {registers, pooling} = data.report.model;
      return [
        'attention', 'token', source.prefix > registers ? 'class_token' : '',
        pooling === 'token+dist' ? 'distillation' : '', registers > 0 ? 'register' : '',
        source.pool ? 'pooling_head' : '', 'layer', 'direction', 'max', 'entropy',
        source.prefix > 0 ? 'prefix' : ''
      ];
    },
    rollout: () => ['rollout', 'first', 'fusion', 'discard'],
    stats:
      () => [...Object.keys(data.report.stats?.statistics ?? {}).map((name) => 'stat_' + name),
        'pattern', 'artifact'],
    about: () => ['digest', 'pooling', 'precision', 'explained', 'completeness'],
  },

  say(key) {
    const [name, text, zhName, zhText] = terms.all[key];
    return words.lang === 'zh' ? [zhName, zhText] : [name, text];
  },

  list: (entries) =>
    entries.flatMap(([name, text]) => [ui.make('dt', '', name), ui.make('dd', '', text)]),

  draw() {
    for (const fold of document.querySelectorAll('details[data-terms]')) {
      const part = fold.dataset.terms;
      const keys =
        part === 'methods' ? terms.methods() : terms.parts[part]().filter((key) => terms.all[key]);
      fold.hidden = keys.length === 0;
      ui.rebuild(fold.querySelector('dl'), [words.lang, ...keys].join(),
        () => part === 'methods' ? terms.list(keys.map((name) => [name, terms.method(name)])) :
                                   terms.list(keys.map(terms.say)));
    }
  },

  methods: () => [...new Set(stage.picture().maps.map((map) => map.method))],

  /* What a method does: the file has it in English. */
  method(name) {
    const {summary} = stage.picture().maps.find((map) => map.method === name) ?? {};
    return words.lang === 'zh' ? methodsInChinese[name] ?? summary : summary;
  },

  all: {
    map: [
      'Map',
      'How much each patch (square of the picture) matters, by the method named below ' +
        'the picture. Red and blue: patches that speak for and against the class.',
      '热图',
      '按图片下方所写的方法，每个图块（图片上的方格）的重要程度。红与蓝：支持与反对该类别的图块。'
    ],
    drawn: [
      'Drawn as',
      'Colours cover the photo. "Strong ones opaque" lets it show where the map is weak. The ' +
        'spotlight darkens what is weak. The outline goes round the strongest part.',
      '绘制方式', '颜色覆盖照片；“越强越不透明”让弱处透出照片；聚光使弱处变暗；轮廓圈出最强部分。'
    ],
    scale: [
      'Scale',
      'Which number gets the strongest colour: the largest of this map, or of ' +
        'several maps, so that equal colours mean equal numbers.',
      '刻度', '哪个数值对应最强的颜色：此图的最大值，或多张图的最大值，此时相同颜色即相同数值。'
    ],
    gamma: [
      'Gamma',
      'Below 1 weak values become easier to see, above 1 only strong ones stay. The ' +
        'numbers do not change.',
      '伽马', '小于 1 时弱值更易看见，大于 1 时只留下强值。数值本身不变。'
    ],
    strongest: [
      'Strongest part',
      'The fewest patches that together hold this share of the mass, ' +
        'the sum of all values above 0.',
      '最强部分', '合起来占总量（所有大于 0 的值之和）这一份额的最少图块。'
    ],
    smooth: [
      'Smooth', 'Colours run from patch to patch. It looks finer than the map is.', '平滑',
      '颜色在图块之间渐变，看起来比热图本身更精细。'
    ],
    class: [
      'Class',
      'One of the answers that the model can give. Choose one: the maps are then ' +
        'about this answer.',
      '类别', '模型可以给出的回答之一。选择后，热图即针对该回答。'
    ],
    probability: [
      'Percentage', 'How sure the model says it is. It can be sure and wrong.', '百分比',
      '模型自称的把握。它可能很有把握却是错的。'
    ],
    logit: [
      'Logit',
      'The model\'s number for a class before it becomes a percentage. Most maps ' +
        'explain this number.',
      'Logit（原始得分）', '类别的数值在变成百分比之前的样子。多数热图解释的是这个数。'
    ],
    similarity: [
      'Similarity',
      'How alike two embeddings are: the picture\'s, and that of another ' +
        'picture or of a text. 1: same direction, 0: nothing in common.',
      '相似度', '两个嵌入向量有多像：此图片的，与另一图片或文字的。1 为同向，0 为毫无共同之处。'
    ],
    unit: [
      'Unit', 'One number of the embedding, counted from 0.', '分量',
      '嵌入向量中的一个数，从 0 计。'
    ],
    attention: [
      'Attention',
      'In each layer each token collects information from all tokens. The ' +
        'weights say how much from which one; they add up to 100 %.',
      '注意力', '在每一层，每个词元从所有词元收集信息。权重表示从哪里收集多少，总和为 100 %。'
    ],
    token: [
      'Token',
      'What the model computes with: one for each patch of the picture, and some ' +
        'more in front of them.',
      '词元', '模型的计算单位：图片的每个图块一个，前面另有几个。'
    ],
    class_token: [
      'Class token',
      'A token without a place in the picture. The answer is read from ' +
        'it, so what it attends to is close to the answer.',
      '类别词元', '在图片中没有位置的词元。回答由它读出，因此它看向哪里与回答关系密切。'
    ],
    distillation: [
      'Distillation token',
      'A second token of this kind, trained to answer as another ' +
        'model did.',
      '蒸馏词元', '第二个这样的词元，训练时模仿另一个模型的回答。'
    ],
    register: [
      'Register',
      'A token that the model uses to store things, so that it need not store ' +
        'them in empty patches.',
      '寄存器', '模型用来存放信息的词元，这样就不必存放在空白图块里。'
    ],
    pooling_head: [
      'Pooling head (P)',
      'The last step of this model: one query of its own collects ' +
        'the answer from all patches.',
      '池化头（P）', '此模型的最后一步：以自己的一个查询从所有图块收集回答。'
    ],
    layer: [
      'Layer, head',
      'The model repeats the step layer by layer, counted from 0. In each ' +
        'layer several heads do it side by side, each in its own way.',
      '层、头', '模型逐层重复这一步，从 0 计数。每层有若干个头并行进行，各有各的方式。'
    ],
    direction: [
      'Attends to, attended by',
      'Where the chosen token looks, or which tokens look at ' +
        'it.',
      '看向、被看', '所选词元看向哪里，或哪些词元看向它。'
    ],
    max: [
      'max',
      'The largest weight on one patch. Each head\'s colours end there, so a weak head ' +
        'looks as strong as a strong one: compare the numbers.',
      '最大', '单个图块上的最大权重。每个头的颜色以它为顶，弱头看起来与强头一样：请比较数字。'
    ],
    entropy: [
      'entropy',
      'How widely the head looks: 0 % at one token, 100 % at all tokens alike. ' +
        'Near 100 % its picture means nothing, however it looks.',
      '熵',
      '看得有多分散：0 % 为只看一个词元，100 % 为同等地看所有词元。接近 100 % 时图案没有意义。'
    ],
    prefix: [
      'prefix',
      'The share that goes to tokens without a place in the picture. The picture ' +
        'does not show it.',
      '前缀', '落在图片中没有位置的词元上的份额。图片上看不到。'
    ],
    rollout: [
      'Rollout',
      'Attention of all layers multiplied: how much of each patch can reach the ' +
        'token that the answer is read from. It is the same for all classes.',
      'Rollout（逐层相乘）',
      '把各层注意力相乘：每个图块有多少能到达读出回答的词元。对所有类别都一样。'
    ],
    first: [
      'First layer', 'Earlier layers are left out of the product.', '起始层',
      '更早的层不计入乘积。'
    ],
    fusion: [
      'Heads fused by',
      'How the heads of a layer become one matrix: mean, maximum or ' +
        'minimum of their weights.',
      '各头的合并', '一层的各个头如何变成一个矩阵：权重的平均、最大或最小。'
    ],
    discard: [
      'Weakest dropped',
      'This share of each layer\'s weights, the smallest ones, counts as ' +
        '0, which takes noise away.',
      '丢弃最弱部分', '每层中最小的这一部分权重按 0 计，以去除噪声。'
    ],
    stat_entropy: [
      'Entropy',
      'How widely rows look, in nats: 0 at one token; the largest possible ' +
        'is ln(number of tokens).',
      '熵', '各行看得有多分散，单位奈特：只看一个词元为 0，最大为 ln（词元数）。'
    ],
    stat_distance: [
      'Distance', 'How far away patches look, on average. Small: at neighbours.', '距离',
      '图块平均看多远。小即看邻近。'
    ],
    stat_gini: [
      'Gini coefficient',
      'How unequal the weights of a row are: 0 if all are alike, near ' +
        '1 if few have everything.',
      '基尼系数', '一行权重的不均程度：完全相同为 0，集中于少数则接近 1。'
    ],
    stat_top10: [
      'Share of the top 10 %',
      'What the tenth of the tokens that get most gets ' +
        'together.',
      '前 10 % 的份额', '得到最多的十分之一词元合计得到多少。'
    ],
    stat_prefix: [
      'Share of the prefix', 'What tokens without a place in the picture get.', '前缀的份额',
      '图片中没有位置的词元得到多少。'
    ],
    stat_sink: [
      'Sink',
      'What patches give to the class token. High: the head has nothing to do on ' +
        'this picture.',
      '汇聚', '图块给予类别词元多少。高则该头在此图片上无事可做。'
    ],
    stat_similarity: [
      'Cosine with other heads', 'Near 1: other heads of the layer do the same.', '与其他头的余弦',
      '接近 1：该层其他头做同样的事。'
    ],
    stat_focus: [
      'Focus',
      'What the 2 % of the patches that get most get from all. High: every ' +
        'token looks at the same spot.',
      '集中', '得到最多的 2 % 图块从全部词元得到多少。高则所有词元看同一处。'
    ],
    pattern: [
      'Pattern',
      'What kind of head it is: sink (looks at the class token), local (at ' +
        'neighbours), global (far away), mixed.',
      '模式', '头的类型：汇聚（看类别词元）、局部（看邻近）、全局（看远处）、混合。'
    ],
    artifact: [
      'Token of unusual length',
      'A patch token far longer than the others. Models use ' +
        'some empty patches as a store; bright spots there are no evidence.',
      '长度异常的词元', '远比其他更长的图块词元。模型把一些空白图块当作存储；那里的亮点不是证据。'
    ],
    digest: [
      'Weights', 'A fingerprint of the model\'s files. Equal fingerprints: the same model.',
      '权重', '模型文件的指纹。指纹相同即同一模型。'
    ],
    pooling: [
      'Head reads', 'What the answer is read from: a token, or the mean of the patches.',
      '分类头读取', '回答由什么读出：某个词元，或图块的平均。'
    ],
    precision: [
      'Computed in', 'The form of the numbers (f32: 32 bits) and the device.', '计算方式',
      '数的格式（f32 为 32 位）与设备。'
    ],
    explained: [
      'Explained number', 'What the map explains, and its value for this picture.', '被解释的数值',
      '热图所解释的量，及其在此图片上的值。'
    ],
    completeness: [
      'Completeness error',
      'Some methods share out a number among the patches. This ' +
        'is how far their sum is off.',
      '完备性误差', '有些方法把一个数分摊给图块。这是其总和的偏差。'
    ],
  },
};

/* What the methods do; test/cli_report.sh wants one for each method of vitx-cli. */
const methodsInChinese = {
  'attention': '一个查询在一个块中的注意力，原样显示',
  'rollout': '注意力逐块传递至 --layer，包括残差连接',
  'grad-rollout': '注意力乘以其梯度后的 rollout',
  'generic': '注意力乘以其梯度，逐块传递至 --layer',
  'legrad': '每个块自身回答对其注意力的梯度，累加至 --layer',
  'attn-gradcam': '对一个块的注意力做 Grad-CAM，以头为通道',
  'gradcam': '词元的通道按其平均梯度加权',
  'gradcam++': '词元的通道按其正梯度加权',
  'xgradcam': '词元的通道按梯度乘激活加权，以占激活的份额计',
  'hirescam': '词元乘以梯度，对通道求和',
  'elementwise': '词元乘以梯度的正部，对通道求和',
  'layercam': '词元乘以正梯度，对通道求和',
  'eigencam': '一个块的词元的第一主成分',
  'eigengradcam': '词元乘以梯度的第一主成分',
  'features': '一个块的图块词元的主成分，以颜色表示',
  'scorecam': '通道按以其遮盖图片后的得分加权',
  'ablationcam': '通道按去掉后得分的损失加权',
  'gscorecam': '得分梯度最大的通道，按以其遮盖图片后的得分加权',
  'gem': '第二条残差流中的图块：查询、键、值各自相互注意后与文本比较',
  'surgery': '第二条残差流中的图块：值相互注意后与文本比较，减去空文本',
  'maskclip': '最后一块不混合图块时，每个图块与文本的余弦',
  'clip-es': '图块均值的 Grad-CAM，再按最后几块的注意力扩散',
  'saliency': '得分随每个像素变化的程度',
  'input-x-grad': '梯度乘以输入：在线性模型中每个像素会给得分增加多少',
  'smoothgrad': '图片加噪声的多个副本的平均梯度',
  'integrated-gradients': '从基线到图片的连线上，每个像素给得分增加多少',
  'occlusion': '遮住图块时得分的损失',
  'rise': '随机遮罩的平均，各按透过它看图片的回答加权',
  'lime': '得分的线性模型的系数，图块或有或无',
  'kernelshap': '图块的 Shapley 值；总和为得分减去没有图块时的得分',
};

/* The warnings of the statistics (lib/measure/verdict.c) have English texts in the file. */
const warningsInChinese = [
  [
    /^attention is spread .*: (\d+) of (\d+) .* (\d+) % or .*block (\d+), head (\d+) with (\d+) %/,
    '注意力散布于一切：{2} 个头中有 {1} 个的熵达到最大可能值的 {3} % 以上' +
      '（最高：第 {4} 层头 {5}，{6} %）'
  ],
  [
    new RegExp(
      '^attention is stuck on .*: in (\\d+) of (\\d+) heads (\\d+) of the (\\d+) .* (\\d+) % or ' +
      '.*block (\\d+), head (\\d+) with (\\d+) %'),
    '注意力停留在少数图块：{2} 个头中有 {1} 个，{4} 个图块中的 {3} 个得到全部的 {5} % 以上' +
      '（最高：第 {6} 层头 {7}，{8} %）'
  ],
  [
    /^heads are alike: (\d+) of (\d+) .*cosine ([\d.]+) or more \((.*)\)$/,
    '头彼此相同：{2} 个头中有 {1} 个与同层另一个头作用相同，余弦不低于 {3}（{4}）'
  ],
  [
    /^attention has collapsed .*: in (\d+) of (\d+) .* (\d+) % or .*block (\d+) with (\d+) %/,
    '注意力塌缩到类别词元：{2} 层中有 {1} 层，图块把 {3} % 以上给予它（最高：第 {4} 层，{5} %）'
  ],
  [
    new RegExp('^artifact tokens: behind (\\d+) of (\\d+) .* than (\\d+) times .*block (\\d+), ' +
      '(\\d+) in (\\d+) of (\\d+) pictures, the largest (\\d+) times'),
    '异常词元：{2} 层中有 {1} 层之后，图块词元的长度超过中位数的 {3} 倍' +
      '（最多：第 {4} 层，{7} 张图片中的 {6} 张共 {5} 个，最大 {8} 倍）'
  ],
];

terms.warning = (text) => {
  if (words.lang !== 'zh')
    return text;
  for (const [pattern, chinese] of warningsInChinese) {
    const found = pattern.exec(text);
    if (found)
      return chinese.replace(/\{(\d)\}/g, (_, n) => found[n])
        .replace(/block (\d+), head (\d+) as (\d+) with ([\d.]+)/g, '第 $1 层头 $2 与头 $3：$4');
  }
  return text;
};
