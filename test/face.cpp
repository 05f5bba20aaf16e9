/* test/face.cpp: vitx.hpp against the C functions that it stands before. Run by
 * test/examples.sh. */
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vitx/vitx.hpp>

static int failed;

static void expect(bool is, const char *what)
{
    if (!is)
        std::printf("face: %s\n", what), failed = 1;
}

static void devices()
{
    try {
        vitx::load_device("/no/such.so");
        expect(false, "a plug-in that is not there");
    } catch (const vitx::error &error) {
        expect(error.status() == VITX_DEVICE, "its status");
    }
    expect(!vitx::precisions("cpu").empty(), "precisions of the cpu");
}

static void classes(const vitx::image &picture)
{
    vitx::model model("test/golden/models/deit-hf");
    vitx_context_opts opts = vitx::context_opts();
    opts.max_batch = 2;
    vitx::context context(model, &opts);
    vitx::image grey(picture.pixels(), VITX_PIXELS_GREY, 40, 30);
    const std::vector<const vitx::image *> both{&picture, &grey};
    const std::vector<vitx_prediction> one = context.classify(picture, 3),
                                       two = context.classify(both, 3);
    expect(one.size() == 3 && two.size() == 6, "sizes of predictions");
    expect(one[0].index == two[0].index, "a picture alone and in company");
    expect(std::fabs(one[0].logit - two[0].logit) < 1e-4f, "its logit");
    expect(std::strcmp(vitx::label(one[0]), model.label(one[0].index)) == 0, "label");
    expect(std::strcmp(vitx::label(vitx_prediction()), "") == 0, "no label");
    expect(std::strcmp(model.label(-1), "") == 0, "no class");

    context.forward(both);
    vitx_view view;
    vitx::check(vitx_input(&view, context.get()));
    const std::size_t floats = 2 * 3 * static_cast<std::size_t>(view.shape[2] * view.shape[3]);
    const float *data = static_cast<const float *>(view.data);
    const std::vector<float> copy(data, data + floats);
    const std::uint64_t generation = context.generation();
    const vitx::inputs in{copy.data(), 2, static_cast<int>(view.shape[2]),
                          static_cast<int>(view.shape[3])};
    const std::vector<vitx_prediction> again = context.classify(in, 3);
    expect(context.generation() > generation, "generation");
    expect(again.size() == 6 && again[3].logit == two[3].logit, "inputs in place of pictures");

    const std::vector<vitx_explain_opts> ways{vitx::explain_opts("rollout"),
                                              vitx::explain_opts("gradcam")};
    const std::vector<vitx::map> maps = context.explain(both, ways),
                                 of_inputs = context.explain(in, ways);
    expect(maps.size() == 4 && of_inputs.size() == 4, "number of maps");
    expect(std::strcmp(maps[3].info().method, "gradcam") == 0, "their order");
    expect(maps[2].values()[0] == of_inputs[2].values()[0], "maps of inputs");
    expect(context.explain(picture, ways).size() == 2, "maps of one picture");
    const vitx::image drawn = maps[0].draw(&picture);
    expect(drawn.width() == picture.width() && drawn.height() == picture.height(), "a drawing");
    try {
        context.embed(picture);
        expect(false, "classes are no embedding");
    } catch (const vitx::error &e) {
        expect(e.status() == VITX_UNSUPPORTED, "status of embed");
    }
}

static void embeddings(const vitx::image &picture)
{
    vitx::model model("test/golden/models/dinov2-hf-bare");
    vitx::context context(model);
    const std::vector<float> one = context.embed(picture, true),
                             two = context.embed({&picture, &picture}, true);
    double square = 0;
    for (float v : one)
        square += static_cast<double>(v) * v;
    expect(one.size() == static_cast<std::size_t>(model.info().classes), "size of an embedding");
    expect(two.size() == 2 * one.size() && two[one.size()] == one[0], "two embeddings");
    expect(std::fabs(square - 1) < 1e-5, "its length");
}

static void texts(const std::string &folder)
{
    const vitx::image picture("test/golden/texts/picture.png");
    vitx::model model("test/golden/words/clip");
    vitx::context context(model);
    const vitx::texts tower(model);
    const std::vector<std::string> list{"a photo of a cat", "\xe4\xb8\x80\xe5\x8f\xaa\xe7\x8b\x97"};
    const std::string cache = folder + "/labels.vitx";
    std::remove(cache.c_str());
    const vitx::label_set plain(tower, list), framed(tower, list, {"a photo of the {}."}, cache),
        again(tower, list, {"a photo of the {}."}, cache);
    expect(plain.info().count == 2 && std::strcmp(plain.label(1), list[1].c_str()) == 0, "labels");
    expect(std::strcmp(plain.label(2), "") == 0, "no label");
    expect(framed.info().templates == 1 && !framed.info().cached, "a template");
    expect(again.info().cached && again.vectors()[0] == framed.vectors()[0], "cached labels");
    const std::vector<vitx_prediction> top = context.classify(picture, plain, 3),
                                       both = context.classify({&picture, &picture}, framed, 2);
    expect(top.size() == 3 && top[2].index == -1 && both.size() == 4, "sizes of answers");
    const std::vector<float> vector = context.embed(picture);
    expect(plain.rank(vector, 1)[0].index == top[0].index, "a vector's labels");
    try {
        plain.rank(std::vector<float>(3), 1);
        expect(false, "a vector of another length");
    } catch (const std::invalid_argument &) {
    }
    const std::vector<float> ends = tower.embed(list, true);
    expect(ends.size() == 2 * static_cast<std::size_t>(tower.info().units), "vectors of texts");
    expect(ends[0] == plain.vectors()[0], "a label's vector");
    expect(tower.digest(list) == tower.digest(list) &&
               tower.digest(list) != tower.digest({list[0]}),
           "digests of texts");
    const int units = tower.info().units;
    const std::vector<float> scores = vitx::similarities(ends, units, vector);
    const vitx::neighbours best = vitx::nearest(ends, units, vector, 3);
    vitx::neighbours parts(3);
    parts.add(ends, units, vector, {0, 1});
    expect(scores.size() == 2 && best.index[2] == -1 && best.score[0] >= best.score[1], "nearest");
    expect(best.score[0] == scores[static_cast<std::size_t>(best.index[0])], "its score");
    expect(best.index[0] == top[0].index && parts.index == best.index, "nearest labels");
    const std::vector<vitx_text_token> tokens = tower.tokens(list[0]);
    expect(tokens.size() == 7 && tokens[1].start == 0 && tokens[1].end == 1, "tokens");
    const vitx::map map =
        context.explain(picture, vitx::explain_opts("gradcam", tower, "a cat", "a dog"));
    expect(map.info().explains == VITX_EXPLAINED_TEXT, "a map of a text");
    expect(std::strcmp(map.info().versus_text, "a dog") == 0, "a text against it");
    vitx_words_opts opts = vitx::words_opts("a cat");
    const vitx::words words = context.explain_words(picture, tower, opts);
    opts.vector = vector.data();
    expect(words.info().count == 2, "words");
    expect(tower.explain_words(opts).info().value == words.info().value, "words of a vector");
    vitx::report report(model);
    report.add(picture, "p.png");
    report.add(map);
    report.add(words);
    report.run(context, picture);
    expect(report.write().find("\"sentences\":[{\"text\":\"a cat\"") != std::string::npos,
           "a sentence in a report");
}

static void reports(const vitx::image &picture)
{
    vitx::model model("test/golden/models/deit-hf");
    vitx::context context(model);
    vitx::report ran(model), given(model);
    const vitx::map map = context.explain(picture, vitx::explain_opts("rollout"));
    ran.add(picture, "a/p.png");
    ran.add(map);
    ran.run(context, picture);
    const std::string page = ran.write();
    expect(static_cast<std::size_t>(ran.info().bytes) == page.size(), "bytes of a report");
    expect(page.find(model.digest()) != std::string::npos, "the digest in a report");
    vitx::stats stats(context);
    stats.add(picture);
    const std::vector<vitx_prediction> top = context.classify(picture, 2);
    expect(ran.predictions(2)[0].index == top[0].index, "predictions of a report");
    expect(std::fabs(ran.predictions(2)[1].logit - top[1].logit) < 1e-4f, "their logits");
    given.add(picture, "p.png");
    given.set_input(context.info());
    given.add(map, "label");
    given.add(context.classify(picture, 5));
    given.add(stats);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    trace.record = VITX_RECORD_ALL;
    vitx::check(vitx_context_set_trace(context.get(), &trace));
    context.forward({&picture});
    for (int layer = 0; layer < model.info().depth; layer++) {
        vitx_view view;
        vitx::check(vitx_attention(&view, context.get(), layer));
        given.add_attention(layer, view);
    }
    expect(given.info().level == VITX_REPORT_ALL, "a report of answers");
    given.add_absent(1, nullptr, "explain --target 1");
    const std::string answers = given.write();
    expect(answers.find("explain --target 1") != std::string::npos, "a class without a map");
    expect(answers.find("</html>") != std::string::npos, "its end");

    vitx_report_opts opts = vitx::report_opts();
    opts.title = "a title";
    opts.level = VITX_REPORT_NONE;
    vitx::report small(model, &opts);
    try {
        small.predictions();
        expect(false, "predictions without a picture");
    } catch (const vitx::error &e) {
        expect(e.status() == VITX_INVALID, "status of predictions");
    }
    small.add(picture, "p.png");
    small.run(context, picture);
    expect(small.info().level == VITX_REPORT_NONE, "a level");
    expect(small.write().find("<title>a title") != std::string::npos, "a title");
}

/* The attention of a head that pools, and an answer that is no class. */
static void pools(const vitx::image &picture)
{
    vitx::model model("test/golden/models/siglip-timm");
    vitx::context context(model);
    vitx::report report(model);
    vitx_trace_opts trace = vitx::trace_opts(VITX_RECORD_ALL);
    context.set_trace(trace);
    const std::vector<float> answer = context.embed(picture);
    context.forward(picture);
    vitx_view pool;
    vitx::check(vitx_pool_attention(&pool, context.get()));
    report.add(picture, "p.png");
    report.add(answer);
    report.add_pool_attention(pool);
    const std::string page = report.write();
    expect(page.find("\"pool\":\"vx-b") != std::string::npos, "a head that pools");
    expect(page.find("\"norm\":") != std::string::npos, "the length of an embedding");
}

static std::string file_of(const std::string &path)
{
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

/* A folder in memory is the folder on the disk. */
static void memory_files(const vitx::image &picture)
{
    const std::string folder = "test/golden/models/deit-hf/";
    const std::string names[] = {"config.json", "preprocessor_config.json", "model.safetensors"};
    std::string data[3];
    std::vector<vitx_memory_file> files;
    for (int i = 0; i < 3; i++) {
        data[i] = file_of(folder + names[i]);
        files.push_back(vitx_memory_file{names[i].c_str(), data[i].data(), data[i].size()});
    }
    vitx::model disk(folder), memory("in memory", files);
    vitx::context one(disk), two(memory);
    expect(one.classify(picture, 1)[0].logit == two.classify(picture, 1)[0].logit, "memory files");
    expect(disk.digest() == memory.digest(), "their digest");
    files.pop_back();
    try {
        vitx::model lacking("lacking", files);
        expect(false, "a model without weights");
    } catch (const vitx::error &e) {
        expect(e.subject() == "lacking", "the subject of an error");
    }
    vitx_report_opts opts = vitx::report_opts();
    opts.budget = -1;
    try {
        vitx::report report(disk, &opts);
        expect(false, "a budget of -1");
    } catch (const vitx::error &e) {
        expect(std::strcmp(e.field(), "budget") == 0, "the field of an error");
    }
    expect(vitx::context::preview(disk).input_height == one.info().input_height, "a preview");
}

static void gradients(const vitx::image &picture)
{
    vitx::model model("test/golden/models/deit-hf");
    vitx::context context(model);
    vitx_trace_opts trace = vitx::trace_opts(VITX_RECORD_ALL);
    trace.gradients = VITX_GRADIENT_ANY;
    trace.targets = 1;
    trace.tokens = 1 << VITX_AT_NORM1;
    expect(vitx::trace_bytes(model, trace, 2) > vitx::trace_bytes(model, trace, 1), "trace bytes");
    context.set_trace(trace);
    context.forward(picture);
    std::vector<float> dlogits(static_cast<std::size_t>(model.info().classes));
    dlogits[1] = 1;
    context.backward(dlogits);
    const std::int64_t tokens = model.info().tokens, width = model.info().width;
    const vitx_view attention = context.attention_gradient(0), input = context.input_gradient();
    expect(attention.shape[2] == tokens && attention.shape[3] == tokens, "attention's gradient");
    expect(input.shape[3] == context.input().shape[3], "the input's gradient");
    expect(context.tokens(0, VITX_AT_NORM1).shape[2] == width, "tokens");
    expect(context.tokens_gradient(0, VITX_AT_NORM1).shape[1] == tokens, "tokens' gradient");
    dlogits.pop_back();
    try {
        context.backward(dlogits);
        expect(false, "too few gradients");
    } catch (const std::invalid_argument &) {
    }
    context.set_trace(vitx::trace_opts(VITX_RECORD_NONE));
    const vitx::peak peak = context.measure_peak();
    expect(peak.flops > 0 && peak.bytes > 0, "a peak");
}

static void maps(const vitx::image &picture)
{
    vitx::model model("test/golden/models/deit-hf");
    vitx::context context(model);
    const std::vector<vitx_explain_opts> ways{vitx::explain_opts("rollout")};
    expect(context.explain_forwards(ways) == 1, "forwards of a method");
    expect(context.explain_bytes(ways) > 0, "bytes of a method");
    const std::vector<vitx::map> flipped = context.explain_flip({&picture, &picture}, ways);
    expect(flipped.size() == 2 && flipped[1].info().flip == 1, "flipped maps");
    const vitx::map map = context.explain(picture, ways[0]), mask = map.mask(0.5);
    const vitx_map_info info = map.info();
    expect(mask.info().mask == 0.5 && std::fabs(mask.values()[0] - 0.5f) == 0.5f, "a mask");
    vitx_explain_opts answering = ways[0];
    answering.answer = 1;
    expect(context.explain(picture, answering).predictions(model, 2)[0].logit == info.logit,
           "predictions of a map");
    const std::pair<float, float> ends = map.ends();
    expect(ends.second == info.max && ends.first < ends.second, "ends of the colours");

    vitx::basis basis(context);
    basis.add(context, picture);
    basis.add(context, std::vector<const vitx::image *>{&picture});
    basis.finish();
    vitx_explain_opts features = vitx::explain_opts("features");
    features.basis = basis.get();
    const vitx::map colours = context.explain(picture, features);
    expect(colours.info().channels == 3, "a basis");
    try {
        basis.finish();
        expect(false, "finished twice");
    } catch (const vitx::error &e) {
        expect(e.status() == VITX_INVALID, "status of finish");
    }

    const std::vector<vitx_evaluate_opts> metrics{vitx::evaluate_opts("deletion"),
                                                  vitx::evaluate_opts("insertion")};
    context.evaluate_check(metrics);
    expect(context.evaluate_forwards(metrics) > 2, "forwards of metrics");
    const std::vector<vitx::evaluation> both = context.evaluate(picture, map, metrics);
    const vitx_evaluation_info alone = context.evaluate(picture, map, metrics[1]).info();
    expect(both.size() == 2 && both[1].info().value == alone.value, "several metrics");
    try {
        context.evaluate_check({vitx::evaluate_opts("no such metric")});
        expect(false, "an unknown metric");
    } catch (const vitx::error &e) {
        expect(e.status() == VITX_INVALID, "status of evaluate_check");
    }
}

static void files(const std::string &folder)
{
    const double x[] = {0, 1, 2}, y[] = {3, 1, 2};
    const std::vector<vitx_curve> curves{vitx_curve{"c", x, y, 3, 0}};
    vitx_plot_opts opts = vitx::plot_opts();
    opts.format = "npy";
    const std::string npy = vitx::plot(curves, opts);
    vitx::plot(curves, folder + "/plot.npy");
    expect(npy.compare(0, 6, "\x93NUMPY") == 0 && npy == file_of(folder + "/plot.npy"), "a plot");
    const std::vector<float> values{1, 2, 3, 4};
    vitx::save_vectors(values, 1, folder + "/vector.npy");
    expect(vitx::write_vectors(values, 1) == file_of(folder + "/vector.npy"), "vectors");
    expect(vitx::load_vector(folder + "/vector.npy", 4) == values, "a vector");
}

int main(int count, char **arguments)
{
    try {
        const vitx::image picture("test/golden/models/picture.png");
        devices();
        classes(picture);
        embeddings(picture);
        reports(picture);
        pools(picture);
        memory_files(picture);
        gradients(picture);
        maps(picture);
        if (count > 1) {
            files(arguments[1]);
            texts(arguments[1]);
        }
    } catch (const std::exception &e) {
        std::printf("face: %s\n", e.what());
        return 1;
    }
    return failed;
}
