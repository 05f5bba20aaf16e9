/*
 * test_words.c: texts beside pictures: labels, words and maps of texts against what transformers
 * answers in float64 (test/golden/words), the file that keeps labels' vectors, what is refused,
 * hostile texts, failing allocations, and threads that share a text tower. VX_TEST_THREADS
 * VX_TEST_DEVICES
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <vitx/vitx.h>

#include "util.h"

/* Words against float64: largest difference over the largest number. */
#define TOL_WORDS 1e-3

static const char *const kinds[] = {"clip", "chinese-clip", "siglip"};
enum { KINDS = sizeof kinds / sizeof kinds[0], LABELS = 4, MOST_TOKENS = 64, LINE = 4096 };

/* "<name>" of one of the models, in malloc'ed memory. */
static char *path_of(const char *kind, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "words/%s%s%s", kind, *name ? "/" : "", name);
    return strdup(golden_path(path));
}

/* The lines of a file of test/golden/words; they live in *text. */
static int lines_of(char **lines, int room, char **text, const char *kind, const char *name)
{
    char *path = path_of(kind, name);
    int count = 0;
    *text = read_file(path, NULL);
    for (char *line = strtok(*text, "\n"); line && count < room; line = strtok(NULL, "\n"))
        lines[count++] = line;
    free(path);
    return count;
}

/* ------------------------------------------------------------------ a pair of towers ------- */

typedef struct pair {
    vitx_model *model;
    vitx_context *c;
    vitx_texts *texts;
    vitx_image *image;
    vitx_texts_info info;
    char *label_text;
    char *labels[LABELS];
} pair;

static pair open_pair_at(const char *path, const vitx_model_opts *opts)
{
    pair p = {0};
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_texts_opts to = VITX_TEXTS_OPTS_INIT;
    co.threads = 2;
    to.context = &co;
    p.info.struct_size = sizeof p.info;
    ck_ok(vitx_model_open(&p.model, path, opts));
    ck_ok(vitx_context_create(&p.c, p.model, &co));
    ck_ok(vitx_texts_create(&p.texts, p.model, &to));
    ck_ok(vitx_texts_get_info(&p.info, p.texts));
    ck_ok(vitx_image_open(&p.image, golden_path("texts/picture.png")));
    ck_assert_int_eq(lines_of(p.labels, LABELS, &p.label_text, ".", "labels.txt"), LABELS);
    return p;
}

static pair open_pair(const char *kind)
{
    char *path = path_of(kind, "");
    pair p = open_pair_at(path, NULL);
    free(path);
    return p;
}

static void close_pair(pair *p)
{
    free(p->label_text);
    vitx_image_free(p->image);
    vitx_texts_free(p->texts);
    vitx_context_free(p->c);
    vitx_model_free(p->model);
}

static const char *const *labels_of(const pair *p)
{
    return (const char *const *)p->labels;
}

static double dot(const float *a, const float *b, int count)
{
    double sum = 0;
    for (int k = 0; k < count; k++)
        sum += (double)a[k] * (double)b[k];
    return sum;
}

/* The cosine of the pair's picture with a text. */
static double cosine(const pair *p, const char *text)
{
    float *vectors = calloc(2 * (size_t)p->info.units, sizeof *vectors);
    ck_ok(vitx_embed(p->c, p->image, vectors, 1));
    ck_ok(vitx_texts_embed(vectors + p->info.units, p->texts, &text, 1, 1));
    const double value = dot(vectors, vectors + p->info.units, p->info.units);
    free(vectors);
    return value;
}

static vitx_label_set *set_of(vitx_texts *texts, const char *const *labels, int n,
                              const vitx_label_set_opts *opts, vitx_label_set_info *info)
{
    vitx_label_set *set;
    vitx_label_set_info found = VITX_LABEL_SET_INFO_INIT;
    ck_ok(vitx_label_set_create(&set, texts, labels, n, opts));
    ck_ok(vitx_label_set_get_info(&found, set));
    if (info)
        *info = found;
    return set;
}

/* ------------------------------------------------------------------ labels ----------------- */

static void check_answers(const char *kind, const char *file, const vitx_prediction *top,
                          char *const *labels)
{
    char *text, *lines[LABELS];
    ck_assert_int_eq(lines_of(lines, LABELS, &text, kind, file), LABELS);
    for (int i = 0; i < LABELS; i++) {
        double logit, probability;
        int at;
        const int index = top[i].index;
        ck_assert_int_ge(index, 0);
        ck_assert_int_eq(sscanf(lines[index], "%lf\t%lf\t%n", &logit, &probability, &at), 2);
        ck_assert_str_eq(lines[index] + at, labels[index]);
        ck_assert_str_eq(top[i].label, labels[index]);
        ck_assert_double_eq_tol((double)top[i].logit, logit, TOL_LOGITS * (1 + fabs(logit)));
        ck_assert_double_eq_tol((double)top[i].probability, probability, TOL_LOGITS * probability);
        if (i)
            ck_assert(top[i - 1].logit >= top[i].logit);
    }
    free(text);
}

static void check_ranked(const pair *p, const vitx_label_set *set, const vitx_prediction *top)
{
    vitx_prediction again[LABELS];
    float *vector = calloc((size_t)p->info.units, sizeof *vector);
    ck_ok(vitx_embed(p->c, p->image, vector, 0));
    ck_ok(vitx_label_set_rank(again, LABELS, set, vector));
    for (int i = 0; i < LABELS; i++) {
        ck_assert(again[i].index == top[i].index && again[i].label == top[i].label);
        ck_assert_double_eq_tol((double)again[i].logit, (double)top[i].logit, 1e-6);
    }
    free(vector);
}

START_TEST(test_words__labels_are_what_the_library_answers)
{
    const char *kind = kinds[_i / 2];
    const bool sentences = _i % 2;
    char *text, *templates[8];
    const int n = lines_of(templates, 8, &text, ".", "templates.txt");
    pair p = open_pair(kind);
    vitx_label_set_opts opts = VITX_LABEL_SET_OPTS_INIT;
    vitx_label_set_info info;
    vitx_prediction top[2 * (LABELS + 1)];
    const vitx_image *images[] = {p.image, p.image};
    ck_assert_int_eq(n, 3);
    opts.templates = sentences ? (const char *const *)templates : NULL;
    opts.template_count = sentences ? n : 0;
    vitx_label_set *set = set_of(p.texts, labels_of(&p), LABELS, &opts, &info);
    ck_assert(info.count == LABELS && info.units == p.info.units && !info.cached && !info.cut);
    ck_assert_int_eq(info.templates, opts.template_count);
    ck_assert_int_eq(info.outputs,
                     strcmp(kind, "siglip") ? VITX_OUTPUTS_SOFTMAX : VITX_OUTPUTS_SIGMOID);
    ck_ok(vitx_classify_texts(p.c, images, 2, set, top, LABELS + 1));
    check_answers(kind, sentences ? "ensemble.txt" : "answers.txt", top, p.labels);
    check_answers(kind, sentences ? "ensemble.txt" : "answers.txt", top + LABELS + 1, p.labels);
    ck_assert(top[LABELS].index == -1 && !top[LABELS].label); /* there is no fifth */
    check_ranked(&p, set, top);
    for (int i = 0; i < LABELS; i++) {
        const float *v = vitx_label_set_vectors(set) + i * info.units;
        ck_assert_double_eq_tol(dot(v, v, info.units), 1, 1e-6);
        ck_assert_str_eq(vitx_label_set_label(set, i), p.labels[i]);
    }
    ck_assert(!vitx_label_set_label(set, -1) && !vitx_label_set_label(set, LABELS));
    vitx_label_set_free(set);
    close_pair(&p);
    free(text);
}
END_TEST

/* A text's vector does not depend on those beside it, nor does its logit. */
START_TEST(test_words__order_does_not_matter)
{
    pair p = open_pair(kinds[_i]);
    const int units = p.info.units;
    float *all = calloc((size_t)(2 * LABELS + 1) * (size_t)units, sizeof *all);
    float *turned = all + LABELS * units, *alone = all + 2 * LABELS * units;
    const char *back[LABELS];
    vitx_prediction one[LABELS], two[LABELS];
    vitx_label_set_info info;
    for (int i = 0; i < LABELS; i++)
        back[i] = p.labels[LABELS - 1 - i];
    ck_ok(vitx_texts_embed(all, p.texts, labels_of(&p), LABELS, 1));
    ck_ok(vitx_texts_embed(turned, p.texts, back, LABELS, 1));
    for (int i = 0; i < LABELS; i++) {
        ck_ok(vitx_texts_embed(alone, p.texts, labels_of(&p) + i, 1, 1));
        for (int k = 0; k < units; k++) {
            const double want = (double)alone[k];
            ck_assert_double_eq_tol((double)all[i * units + k], want, 2e-6);
            ck_assert_double_eq_tol((double)turned[(LABELS - 1 - i) * units + k], want, 2e-6);
        }
    }
    vitx_label_set *first = set_of(p.texts, labels_of(&p), LABELS, NULL, &info);
    vitx_label_set *second = set_of(p.texts, back, LABELS, NULL, &info);
    ck_ok(vitx_label_set_rank(one, LABELS, first, all));
    ck_ok(vitx_label_set_rank(two, LABELS, second, all));
    for (int i = 0; i < LABELS; i++) {
        ck_assert_str_eq(one[i].label, two[i].label);
        ck_assert_double_eq_tol((double)one[i].probability, (double)two[i].probability, 1e-5);
    }
    vitx_label_set_free(first);
    vitx_label_set_free(second);
    free(all);
    close_pair(&p);
}
END_TEST

/* ------------------------------------------------------------------ words ------------------ */

/* "ids | numbers" of words.txt */
static int read_tokens(int *ids, double *numbers, const char *line)
{
    const char *bar = strchr(line, '|');
    int n = 0, m = 0;
    char *end;
    for (const char *at = line; at < bar && n < MOST_TOKENS; at = end, n++) {
        ids[n] = (int)strtol(at, &end, 10);
        if (end >= bar || *end != ' ')
            break;
    }
    for (const char *at = bar + 1; *at && m < MOST_TOKENS; at = end, m++) {
        numbers[m] = strtod(at, &end);
        if (end == at)
            break;
    }
    ck_assert_int_gt(m, 0);
    return m;
}

static int word_of(const vitx_words_info *w, const vitx_text_token *t)
{
    for (int i = 0; i < w->count && t->end > t->start; i++)
        if (t->start < w->words[i].end && t->end > w->words[i].start)
            return i;
    return -1;
}

/* One text's words against its line. */
static void check_words(pair *p, const char *text, const char *line)
{
    int ids[MOST_TOKENS] = {0}, count, cut, in_words = 0;
    double numbers[MOST_TOKENS], sums[MOST_TOKENS] = {0}, added = 0, most = 0;
    vitx_text_token tokens[MOST_TOKENS];
    vitx_words_opts opts = VITX_WORDS_OPTS_INIT;
    vitx_words_info info = VITX_WORDS_INFO_INIT;
    vitx_words *words;
    const int n = read_tokens(ids, numbers, line);
    ck_ok(vitx_texts_tokens(tokens, MOST_TOKENS, &count, &cut, p->texts, text));
    ck_assert(count <= n && !cut);
    opts.text = text;
    ck_ok(vitx_explain_words(&words, p->texts, p->c, p->image, &opts));
    ck_ok(vitx_words_get_info(&info, words));
    ck_assert_str_eq(info.text, text);
    ck_assert_str_eq(info.method, "gradient");
    for (int i = 0; i < n; i++) {
        const int word = i < count ? word_of(&info, &tokens[i]) : -1;
        if (i < count)
            ck_assert_int_eq(tokens[i].id, ids[i]);
        *(word < 0 ? &added : &sums[word]) += numbers[i];
        in_words += word >= 0;
        most = fmax(most, fabs(numbers[i]));
    }
    for (int i = 0; i < info.count; i++) {
        in_words -= info.words[i].tokens;
        ck_assert(info.words[i].end > info.words[i].start);
        ck_assert(!i || info.words[i].start >= info.words[i - 1].end);
        ck_assert_double_eq_tol((double)info.words[i].relevance, sums[i], TOL_WORDS * most);
    }
    ck_assert_int_eq(in_words, 0);
    ck_assert_double_eq_tol(info.added, added, TOL_WORDS * most);
    ck_assert_double_eq_tol(info.value, cosine(p, text), 1e-5);
    ck_assert_double_eq_tol(info.empty_value, cosine(p, ""), 1e-5);
    vitx_words_free(words);
}

START_TEST(test_words__words_match_autograd)
{
    char *text, *lines[LABELS];
    pair p = open_pair(kinds[_i]);
    ck_assert_int_eq(lines_of(lines, LABELS, &text, kinds[_i], "words.txt"), LABELS);
    for (int i = 0; i < LABELS; i++)
        check_words(&p, p.labels[i], lines[i]);
    free(text);
    close_pair(&p);
}
END_TEST

/* The picture's vector in place of the picture; "relevance" is never below 0. */
START_TEST(test_words__of_a_vector)
{
    pair p = open_pair(kinds[_i]);
    float *vector = calloc((size_t)p.info.units, sizeof *vector);
    ck_ok(vitx_embed(p.c, p.image, vector, 0));
    for (int m = 0; m < 2; m++) {
        vitx_words_opts opts = VITX_WORDS_OPTS_INIT;
        vitx_words_info a = VITX_WORDS_INFO_INIT, b = VITX_WORDS_INFO_INIT;
        vitx_words *one, *two;
        double sum = 0;
        opts.text = p.labels[2];
        opts.method = m ? "relevance" : "gradient";
        ck_ok(vitx_explain_words(&one, p.texts, p.c, p.image, &opts));
        opts.vector = vector;
        ck_ok(vitx_explain_words(&two, p.texts, NULL, NULL, &opts));
        ck_ok(vitx_words_get_info(&a, one));
        ck_ok(vitx_words_get_info(&b, two));
        ck_assert(a.count == b.count && a.count == 7); /* The red car , at night ! */
        for (int i = 0; i < a.count; i++) {
            ck_assert_double_eq_tol((double)a.words[i].relevance, (double)b.words[i].relevance,
                                    1e-6);
            ck_assert(!m || a.words[i].relevance >= 0);
            sum += fabs((double)a.words[i].relevance);
        }
        ck_assert_double_gt(sum, 0);
        vitx_words_free(one);
        vitx_words_free(two);
    }
    free(vector);
    close_pair(&p);
}
END_TEST

/* ------------------------------------------------------------------ maps of texts ---------- */

static vitx_explain_opts explain_text(const pair *p, const char *method, const char *text)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = method;
    o.texts = p->texts;
    o.text = text;
    return o;
}

/* What is told of a map of a text beside its values. */
static void check_info(const pair *p, const vitx_map *map, const char *text, const char *versus)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    const double with = cosine(p, text), empty = cosine(p, ""), scale = (double)p->info.scale,
                 logit = scale * with + (double)p->info.bias,
                 odds = p->info.outputs == VITX_OUTPUTS_SIGMOID ? logit : scale * (with - empty);
    ck_ok(vitx_map_get_info(&info, map));
    ck_assert(info.explains == VITX_EXPLAINED_TEXT && info.target == VITX_AUTO);
    ck_assert_int_eq(info.score, VITX_SCORE_COSINE);
    ck_assert_str_eq(info.text, text);
    ck_assert_str_eq(info.versus_text, versus ? versus : "");
    ck_assert_double_eq_tol(info.text_value, with, 1e-5);
    ck_assert_double_eq_tol(info.empty_value, empty, 1e-5);
    ck_assert_double_eq_tol(info.value, versus ? with - cosine(p, versus) : with, 1e-5);
    ck_assert_double_eq_tol((double)info.logit, logit, 1e-4);
    ck_assert_double_eq_tol((double)info.probability, 1 / (1 + exp(-odds)), 1e-4);
}

START_TEST(test_words__a_text_is_its_vector)
{
    static const char *const methods[] = {"gradcam", "generic", "legrad", "saliency", "occlusion"};
    enum { M = sizeof methods / sizeof methods[0] };
    pair p = open_pair(kinds[_i]);
    vitx_explain_opts o[2 * M];
    vitx_map *maps[2 * M];
    float *vector = calloc((size_t)p.info.units, sizeof *vector);
    ck_ok(vitx_texts_embed(vector, p.texts, labels_of(&p) + 1, 1, 1));
    for (int j = 0; j < 2 * M; j++) {
        o[j] = explain_text(&p, methods[j % M], p.labels[1]);
        if (j < M)
            continue;
        o[j].text = NULL;
        o[j].vector = vector;
        o[j].vector_count = p.info.units;
    }
    ck_ok(vitx_explain_many(maps, p.c, (const vitx_image *const[]){p.image}, 1, o, 2 * M));
    for (int j = 0; j < M; j++) {
        vitx_map_info info = VITX_MAP_INFO_INIT;
        ck_ok(vitx_map_get_info(&info, maps[j]));
        const size_t bytes = (size_t)(info.shape[0] * info.shape[1]) * sizeof(float);
        ck_assert_msg(!info.nothing, "%s says nothing", methods[j]);
        ck_assert_mem_eq(vitx_map_values(maps[j]), vitx_map_values(maps[M + j]), bytes);
        check_info(&p, maps[j], p.labels[1], NULL);
    }
    for (int j = 0; j < 2 * M; j++)
        vitx_map_free(maps[j]);
    free(vector);
    close_pair(&p);
}
END_TEST

/* The gradient of a difference is the difference of the gradients: gradcam is linear in it, and so
 * is the change of the score in occlusion. */
START_TEST(test_words__against_a_text)
{
    static const char *const methods[] = {"gradcam", "occlusion"};
    pair p = open_pair(kinds[_i]);
    for (int m = 0; m < 2; m++) {
        vitx_explain_opts o[3];
        vitx_map *maps[3];
        vitx_map_info info = VITX_MAP_INFO_INIT;
        double most = 0;
        for (int j = 0; j < 3; j++)
            o[j] = explain_text(&p, methods[m], p.labels[j == 2 ? 3 : 2]);
        o[0].versus_text = p.labels[3];
        ck_ok(vitx_explain_many(maps, p.c, (const vitx_image *const[]){p.image}, 1, o, 3));
        check_info(&p, maps[0], p.labels[2], p.labels[3]);
        ck_ok(vitx_map_get_info(&info, maps[0]));
        const float *both = vitx_map_values(maps[0]), *a = vitx_map_values(maps[1]),
                    *b = vitx_map_values(maps[2]);
        const int64_t count = info.shape[0] * info.shape[1];
        for (int64_t k = 0; k < count; k++)
            most = fmax(most, fabs((double)a[k]) + fabs((double)b[k]));
        for (int64_t k = 0; k < count; k++)
            ck_assert_double_eq_tol((double)both[k], (double)a[k] - (double)b[k], 1e-4 * most);
        for (int j = 0; j < 3; j++)
            vitx_map_free(maps[j]);
    }
    close_pair(&p);
}
END_TEST

/* The first point of a deletion curve is the whole picture. */
START_TEST(test_words__maps_of_texts_are_measured)
{
    pair p = open_pair(kinds[_i]);
    vitx_explain_opts o = explain_text(&p, "gradcam", p.labels[0]);
    vitx_evaluate_opts e = VITX_EVALUATE_OPTS_INIT;
    vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
    vitx_evaluation *evaluation;
    vitx_map *map;
    ck_ok(vitx_explain(&map, p.c, p.image, &o));
    e.metric = "deletion";
    ck_fails(vitx_evaluate(&evaluation, p.c, p.image, map, &e), VITX_INVALID, "");
    e.explain = &o;
    ck_ok(vitx_evaluate(&evaluation, p.c, p.image, map, &e));
    ck_ok(vitx_evaluation_get_info(&info, evaluation));
    ck_assert(isfinite(info.value) && info.point_count > 1);
    ck_assert_double_eq_tol(info.curves[0], cosine(&p, p.labels[0]), 1e-5);
    vitx_evaluation_free(evaluation);
    vitx_map_free(map);
    close_pair(&p);
}
END_TEST

/* ------------------------------------------------------------------ the cache -------------- */

typedef struct logged {
    int warnings;
    char last[500];
} logged;

static void log_line(vitx_log_level level, const char *message, void *payload)
{
    logged *l = payload;
    if (level != VITX_LOG_WARNING)
        return;
    l->warnings++;
    snprintf(l->last, sizeof l->last, "%s", message);
}

/* A set with a cache must be read from it or not, and have these vectors. */
static void check_cached(vitx_texts *texts, const char *const *labels, int n,
                         const vitx_label_set_opts *opts, bool cached, const float *vectors)
{
    vitx_label_set_info info;
    vitx_label_set *set = set_of(texts, labels, n, opts, &info);
    ck_assert_int_eq(info.cached, cached);
    if (vectors)
        ck_assert_mem_eq(vitx_label_set_vectors(set), vectors,
                         (size_t)n * (size_t)info.units * sizeof *vectors);
    vitx_label_set_free(set);
}

START_TEST(test_words__a_cache_keeps_vectors)
{
    pair p = open_pair(kinds[_i]);
    char *folder = make_folder(), path[600], *templates[] = {"a photo of the {}."};
    vitx_label_set_opts opts = VITX_LABEL_SET_OPTS_INIT;
    vitx_label_set_info info;
    const char *other[] = {p.labels[1], p.labels[0], p.labels[2], p.labels[3]};
    snprintf(path, sizeof path, "%s/labels.vitx", folder);
    vitx_label_set *set = set_of(p.texts, labels_of(&p), LABELS, NULL, &info);
    const float *vectors = vitx_label_set_vectors(set);
    opts.cache = path;
    check_cached(p.texts, labels_of(&p), LABELS, &opts, false, vectors); /* writes it */
    check_cached(p.texts, labels_of(&p), LABELS, &opts, true, vectors);
    check_cached(p.texts, other, LABELS, &opts, false, NULL); /* another order is another set */
    check_cached(p.texts, other, LABELS, &opts, true, NULL);
    check_cached(p.texts, labels_of(&p), LABELS - 1, &opts, false, vectors);
    opts.templates = (const char *const *)templates;
    opts.template_count = 1;
    check_cached(p.texts, labels_of(&p), LABELS - 1, &opts, false, NULL);
    check_cached(p.texts, labels_of(&p), LABELS - 1, &opts, true, NULL);
    vitx_label_set_free(set);
    remove_folder(folder);
    free(folder);
    close_pair(&p);
}
END_TEST

/* Cut anywhere, a bit of any byte changed, another file: computed again, and mended. */
START_TEST(test_words__a_damaged_cache_is_not_read)
{
    pair p = open_pair("clip");
    char *folder = make_folder(), path[600];
    vitx_label_set_opts opts = VITX_LABEL_SET_OPTS_INIT;
    vitx_label_set_info info;
    size_t size;
    snprintf(path, sizeof path, "%s/labels.vitx", folder);
    vitx_label_set *set = set_of(p.texts, labels_of(&p), LABELS, NULL, &info);
    const float *vectors = vitx_label_set_vectors(set);
    opts.cache = path;
    check_cached(p.texts, labels_of(&p), LABELS, &opts, false, vectors);
    char *file = read_file(path, &size);
    ck_assert_uint_eq(size, 14 + 32 + 12 + LABELS * 24 * 4 + 32);
    const size_t step = SANITIZED ? 37 : 5;
    for (size_t n = 14; n < size; n += step) { /* behind what tells such a file */
        write_file(path, file, n);
        check_cached(p.texts, labels_of(&p), LABELS, &opts, false, vectors);
        file[n] = (char)(file[n] ^ 4);
        write_file(path, file, size);
        check_cached(p.texts, labels_of(&p), LABELS, &opts, false, vectors);
        file[n] = (char)(file[n] ^ 4);
    }
    check_cached(p.texts, labels_of(&p), LABELS, &opts, true, vectors); /* mended */
    char *longer = calloc(1, size + 1);
    memcpy(longer, file, size);
    write_file(path, longer, size + 1);
    check_cached(p.texts, labels_of(&p), LABELS, &opts, false, vectors);
    free(longer);
    write_file(path, "", 0);
    check_cached(p.texts, labels_of(&p), LABELS, &opts, false, vectors);
    write_file(path, "a letter", 8); /* somebody else's stays */
    vitx_label_set *none;
    ck_fails(vitx_label_set_create(&none, p.texts, labels_of(&p), LABELS, &opts), VITX_INVALID,
             "is not replaced");
    free(file);
    file = read_file(path, &size);
    ck_assert_uint_eq(size, 8);
    free(file);
    vitx_label_set_free(set);
    remove_folder(folder);
    free(folder);
    close_pair(&p);
}
END_TEST

/* A folder with the model's files, in which `from` became `to` in one of them. */
static char *changed_model(const char *kind, const char *file, const char *from, const char *to)
{
    static const char *const names[] = {"model.safetensors", "config.json", "tokenizer.json",
                                        "preprocessor_config.json"};
    char *folder = make_folder();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *old = path_of(kind, names[i]), path[600];
        size_t size;
        char *bytes = read_file(old, &size);
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (strcmp(file, names[i]) == 0 && from) {
            char *at = strstr(bytes, from);
            ck_assert_msg(at && strlen(from) == strlen(to), "%s is not in %s", from, file);
            memcpy(at, to, strlen(to));
        } else if (strcmp(file, names[i]) == 0)
            bytes[size - 1] = (char)(bytes[size - 1] ^ 1);
        write_file(path, bytes, size);
        free(bytes);
        free(old);
    }
    return folder;
}

/* Other weights, another activation, another way to clean texts: another set. */
START_TEST(test_words__a_cache_of_another_model_is_not_read)
{
    static const char *const changes[][3] = {
        {"model.safetensors", NULL, NULL},
        {"config.json", "\"hidden_act\": \"quick_gelu\"", "\"hidden_act\": \"gelu\"      "}};
    pair p = open_pair("clip");
    char *folder = make_folder(), path[600];
    vitx_label_set_opts opts = VITX_LABEL_SET_OPTS_INIT;
    snprintf(path, sizeof path, "%s/labels.vitx", folder);
    opts.cache = path;
    check_cached(p.texts, labels_of(&p), LABELS, &opts, false, NULL);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char *model = changed_model("clip", changes[i][0], changes[i][1], changes[i][2]);
        pair other = open_pair_at(model, NULL);
        vitx_label_set_info info;
        vitx_label_set *set = set_of(other.texts, labels_of(&other), LABELS, NULL, &info);
        check_cached(other.texts, labels_of(&other), LABELS, &opts, false,
                     vitx_label_set_vectors(set));
        check_cached(p.texts, labels_of(&p), LABELS, &opts, false, NULL);
        vitx_label_set_free(set);
        close_pair(&other);
        remove_folder(model);
        free(model);
    }
    vitx_texts_opts to = VITX_TEXTS_OPTS_INIT;
    vitx_texts *raw;
    to.clean = "canonicalize"; /* takes the marks of punctuation away */
    ck_ok(vitx_texts_create(&raw, p.model, &to));
    check_cached(raw, labels_of(&p), LABELS, &opts, false, NULL);
    vitx_texts_free(raw);
    remove_folder(folder);
    free(folder);
    close_pair(&p);
}
END_TEST

static void check_digest(vitx_texts *texts, const char *const *list, int n, const char *other)
{
    char digest[VITX_DIGEST_TEXT], again[VITX_DIGEST_TEXT];
    ck_ok(vitx_texts_digest(digest, texts, list, n));
    ck_ok(vitx_texts_digest(again, texts, list, n));
    ck_assert_str_eq(digest, again);
    ck_assert_uint_eq(strspn(digest, "0123456789abcdef"), VITX_DIGEST_TEXT - 1);
    ck_assert_str_ne(digest, other);
}

static void touch(const char *folder)
{
    char path[600];
    const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, long_ago, 0), 0);
}

/* The same bytes in another file. */
static void replace(const char *folder)
{
    char path[600], other[600];
    size_t size;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    char *bytes = read_file(path, &size);
    write_file(other, bytes, size);
    free(bytes);
    ck_assert_int_eq(rename(other, path), 0);
}

/* Of weights that lie beside those of pictures, whose digest is known, nothing is read again; of
 * another file in their place all is. What was written to since would be refused if it were
 * read. */
START_TEST(test_words__a_digest_is_not_made_twice)
{
    for (int replaced = 0; replaced < 2; replaced++) {
        char *folder = changed_model("clip", "", NULL, NULL);
        const char *text = "a cat";
        char digest[VITX_DIGEST_TEXT];
        vitx_model *model;
        vitx_texts *texts;
        ck_ok(vitx_model_open(&model, folder, NULL));
        ck_ok(vitx_model_digest(digest, model));
        if (replaced)
            replace(folder);
        ck_ok(vitx_texts_create(&texts, model, NULL));
        touch(folder);
        if (replaced)
            ck_fails(vitx_texts_digest(digest, texts, &text, 1), VITX_IO, "was written to");
        else
            ck_ok(vitx_texts_digest(digest, texts, &text, 1));
        vitx_texts_free(texts);
        vitx_model_free(model);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* Of all that gives other vectors. */
START_TEST(test_words__digests_of_texts)
{
    pair p = open_pair("clip");
    const char *turned[] = {p.labels[1], p.labels[0]};
    char first[VITX_DIGEST_TEXT];
    ck_ok(vitx_texts_digest(first, p.texts, labels_of(&p), 2));
    check_digest(p.texts, labels_of(&p), 1, first);
    check_digest(p.texts, turned, 2, first);
    char *model = changed_model("clip", "model.safetensors", NULL, NULL);
    pair other = open_pair_at(model, NULL);
    check_digest(other.texts, labels_of(&p), 2, first);
    close_pair(&other);
    remove_folder(model);
    free(model);
    vitx_texts_opts to = VITX_TEXTS_OPTS_INIT;
    vitx_texts *raw;
    const char *marks[] = {"a cat!", "a dog."};
    to.clean = "canonicalize";
    ck_ok(vitx_texts_create(&raw, p.model, &to));
    ck_ok(vitx_texts_digest(first, p.texts, marks, 2));
    check_digest(raw, marks, 2, first);
    vitx_texts_free(raw);
    ck_fails(vitx_texts_digest(first, p.texts, marks, 0), VITX_INVALID, "n is 0");
    marks[1] = NULL;
    ck_fails(vitx_texts_digest(first, p.texts, marks, 2), VITX_INVALID, "text 1 is NULL");
    close_pair(&p);
}
END_TEST

START_TEST(test_words__a_cache_that_cannot_be_written)
{
    logged l = {0};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_label_set_opts opts = VITX_LABEL_SET_OPTS_INIT;
    char *model = path_of("clip", "");
    hooks.log = log_line;
    hooks.payload = &l;
    mo.hooks = &hooks;
    pair p = open_pair_at(model, &mo);
    l.warnings = 0;
    opts.cache = "/nowhere/labels.vitx";
    check_cached(p.texts, labels_of(&p), LABELS, &opts, false, NULL);
    ck_assert_int_eq(l.warnings, 1);
    ck_assert_msg(strstr(l.last, "not kept") && strstr(l.last, "/nowhere/labels.vitx"), "%s",
                  l.last);
    close_pair(&p);
    free(model);
}
END_TEST

/* ------------------------------------------------------------------ what is refused -------- */

static void refuse_set(vitx_texts *texts, const char *label, const char *template, int count,
                       const char *part)
{
    vitx_label_set_opts opts = VITX_LABEL_SET_OPTS_INIT;
    vitx_label_set *set = (vitx_label_set *)1;
    opts.templates = template ? &template : NULL;
    opts.template_count = count;
    ck_fails(vitx_label_set_create(&set, texts, &label, 1, &opts), VITX_INVALID, part);
    ck_assert(!set);
}

START_TEST(test_words__bad_labels)
{
    pair p = open_pair("clip");
    vitx_label_set *set;
    vitx_label_set_info info;
    vitx_prediction top[1];
    float vector[24] = {1};
    refuse_set(p.texts, "", NULL, 0, "label 0 is empty");
    refuse_set(p.texts, " \t\n", NULL, 0, "label 0 is empty");
    refuse_set(p.texts, "\xe3\x80\x80\xc2\xa0", NULL, 0, "label 0 is empty");
    refuse_set(p.texts, NULL, NULL, 0, "label 0 is empty");
    refuse_set(p.texts, "cat", "a photo", 1, "has no {}");
    refuse_set(p.texts, "cat", "a {}", 0, "template_count = 0");
    refuse_set(p.texts, "cat", NULL, 1, "template_count = 1");
    refuse_set(p.texts, "cat", "a {}", -1, "template_count = -1");
    for (int n = -1; n <= 1000001; n += n < 0 ? 1 : 1000001)
        ck_fails(vitx_label_set_create(&set, p.texts, labels_of(&p), n, NULL), VITX_INVALID,
                 "labels: 1 to 1000000");
    ck_fails(vitx_label_set_create(&set, NULL, labels_of(&p), 1, NULL), VITX_INVALID, "NULL");
    ck_fails(vitx_label_set_create(&set, p.texts, NULL, 1, NULL), VITX_INVALID, "NULL");
    ck_fails(vitx_label_set_create(NULL, p.texts, labels_of(&p), 1, NULL), VITX_INVALID, "NULL");
    set = set_of(p.texts, labels_of(&p), 1, NULL, &info);
    ck_fails(vitx_label_set_rank(top, 0, set, vector), VITX_INVALID, "k is 0");
    ck_fails(vitx_label_set_rank(top, 1, set, NULL), VITX_INVALID, "NULL");
    ck_fails(vitx_label_set_rank(top, 1, NULL, vector), VITX_INVALID, "NULL");
    ck_ok(vitx_label_set_rank(top, 1, set, vector));
    vector[3] = NAN;
    ck_fails(vitx_label_set_rank(top, 1, set, vector), VITX_INVALID, "number 3");
    ck_fails(vitx_classify_texts(p.c, (const vitx_image *const[]){p.image}, 1, set, top, 0),
             VITX_INVALID, "k is");
    ck_fails(vitx_classify_texts(p.c, (const vitx_image *const[]){p.image}, 0, set, top, 1),
             VITX_INVALID, "n or k");
    pair other = open_pair("siglip");
    ck_fails(vitx_classify_texts(other.c, (const vitx_image *const[]){p.image}, 1, set, top, 1),
             VITX_INVALID, "vectors of 24 numbers");
    close_pair(&other);
    vitx_label_set_free(set);
    close_pair(&p);
}
END_TEST

static void refuse_map(const pair *p, const vitx_explain_opts *o, const char *part)
{
    vitx_map *map = (vitx_map *)1;
    ck_fails(vitx_explain(&map, p->c, p->image, o), VITX_INVALID, part);
    ck_assert(!map);
}

START_TEST(test_words__bad_texts_to_explain)
{
    pair p = open_pair("clip"), other = open_pair("siglip");
    float vector[24] = {1};
    vitx_explain_opts o = explain_text(&p, "gradcam", "a cat");
    o.texts = NULL;
    refuse_map(&p, &o, "without a text tower");
    o.texts = other.texts;
    refuse_map(&p, &o, "the texts' vectors have 32 numbers, the model's outputs are 24");
    o.texts = p.texts;
    o.vector = vector;
    o.vector_count = 24;
    refuse_map(&p, &o, "two are given");
    o.like = p.image;
    refuse_map(&p, &o, "three are given");
    o = explain_text(&p, "gradcam", "a cat");
    o.target = 3;
    refuse_map(&p, &o, "in place of one");
    o.target = VITX_AUTO;
    o.score = VITX_SCORE_LOGIT;
    refuse_map(&p, &o, "score cosine or dot");
    o.score = VITX_SCORE_AUTO;
    o.versus_text = "a cat";
    refuse_map(&p, &o, "the same to the model");
    o.text = NULL;
    refuse_map(&p, &o, "without a text");
    close_pair(&other);
    close_pair(&p);
}
END_TEST

/* The set's texts but for the text itself, in any order. */
START_TEST(test_words__among_texts)
{
    static const char *const methods[] = {"surgery", "clip-es"};
    pair p = open_pair(kinds[_i % 2]);
    const char *many[] = {p.labels[1], p.labels[0], p.labels[2]},
               *few[] = {p.labels[2], p.labels[1]};
    vitx_label_set *sets[] = {set_of(p.texts, many, 3, NULL, NULL),
                              set_of(p.texts, few, 2, NULL, NULL)};
    vitx_explain_opts o = explain_text(&p, methods[_i / 2], p.labels[0]);
    vitx_map *alone, *maps[2];
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_explain(&alone, p.c, p.image, &o));
    ck_ok(vitx_map_get_info(&info, alone));
    ck_assert_int_eq(info.among, 0);
    const size_t count = (size_t)(info.shape[0] * info.shape[1]);
    for (int j = 0; j < 2; j++) {
        o.among = sets[j];
        ck_ok(vitx_explain(&maps[j], p.c, p.image, &o));
        ck_ok(vitx_map_get_info(&info, maps[j]));
        ck_assert_int_eq(info.among, 2);
    }
    double sum = 0;
    for (size_t k = 0; k < count; k++) {
        const double a = vitx_map_values(maps[0])[k], b = vitx_map_values(maps[1])[k];
        ck_assert_double_lt(fabs(a - b),
                            1e-5 * fmax(fabs((double)info.max), fabs((double)info.min)));
        sum += fabs(a - (double)vitx_map_values(alone)[k]);
    }
    ck_assert(sum > 1e-3 * fabs((double)info.max));
    vitx_map_free(alone);
    for (int j = 0; j < 2; j++) {
        vitx_map_free(maps[j]);
        vitx_label_set_free(sets[j]);
    }
    close_pair(&p);
}
END_TEST

/* ------------------------------------------------------------------ maps of texts ---------- */

enum { MOST_SETTINGS = 4, MOST_PATCHES = 64 };

/* A line of maps.txt: METHOD,key=value,.. text=N | numbers. o->set is then settings. */
static const char *read_case(vitx_explain_opts *o, const char **settings, int *text, char *line)
{
    char *bar = strstr(line, " | "), *at = strstr(line, " text=");
    ck_assert(bar && at);
    *text = atoi(at + 6);
    *at = '\0';
    o->method = strtok(line, ",");
    for (char *word = strtok(NULL, ","); word; word = strtok(NULL, ",")) {
        ck_assert_int_lt(o->set_count, MOST_SETTINGS);
        settings[o->set_count++] = word;
    }
    o->set = settings;
    return bar + 3;
}

/* Each line of maps.txt: the text among all labels, itself passed over. */
static int check_golden_map(pair *p, const vitx_label_set *set, char *line)
{
    const char *settings[MOST_SETTINGS];
    vitx_explain_opts o = explain_text(p, NULL, NULL);
    vitx_map_info info = VITX_MAP_INFO_INIT;
    double expected[MOST_PATCHES], most = 0;
    vitx_map *map;
    int text, n = 0;
    const char *at = read_case(&o, settings, &text, line);
    const bool among = strcmp(o.method, "maskclip") == 0, asked = among && o.set_count > 0;
    for (char *end; n < MOST_PATCHES && (expected[n] = strtod(at, &end), end != at); at = end)
        most = fmax(most, fabs(expected[n++]));
    o.text = p->labels[text];
    o.among = among ? set : NULL;
    ck_ok(vitx_explain(&map, p->c, p->image, &o));
    ck_ok(vitx_map_get_info(&info, map));
    ck_assert_int_eq(n, (int)(info.shape[0] * info.shape[1]));
    ck_assert_int_eq(info.among, asked ? LABELS - 1 : 0);
    for (int k = 0; k < n; k++)
        ck_assert_msg(fabs((double)vitx_map_values(map)[k] - expected[k]) < TOL_MAP * most,
                      "%s %s: value %d is %g in place of %g", o.method,
                      o.set_count ? settings[0] : "", k, (double)vitx_map_values(map)[k],
                      expected[k]);
    ck_assert_int_eq(info.nothing, expected[0] == -100); /* a text that is found nowhere */
    vitx_map_free(map);
    return n;
}

START_TEST(test_words__maps_are_what_the_formulas_give)
{
    enum { MOST_LINES = 32 };
    const char *kind = _i / 2 ? "siglip" : "clip";
    pair p = open_pair(kind);
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    char *text, *lines[MOST_LINES];
    co.device = _i % 2 ? "ref" : "cpu";
    vitx_context_free(p.c);
    ck_ok(vitx_context_create(&p.c, p.model, &co));
    const int count = lines_of(lines, MOST_LINES, &text, kind, "maps.txt");
    vitx_label_set *set = set_of(p.texts, labels_of(&p), LABELS, NULL, NULL);
    char *copies[MOST_LINES];
    ck_assert_int_gt(count, 8);
    for (int i = 0; i < count; i++)
        copies[i] = strdup(lines[i]); /* strtok works in one text at a time */
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(check_golden_map(&p, set, copies[i]), 16);
        free(copies[i]);
    }
    free(text);
    vitx_label_set_free(set);
    close_pair(&p);
}
END_TEST

/* All heads and blocks, each a plane of its own; of several pictures each by the map of its own. */
START_TEST(test_words__planes_are_corrected_one_by_one)
{
    static const char *const set[] = {"correction=0.4"};
    pair p = open_pair(_i ? "siglip" : "clip");
    vitx_explain_opts o[3];
    vitx_map *maps[3];
    vitx_map_info info = VITX_MAP_INFO_INIT;
    size_t cut = 0;
    for (int j = 0; j < 3; j++) {
        o[j] = explain_text(&p, "legrad", j < 2 ? p.labels[2] : "a photo of a");
        o[j].layer = o[j].head = VITX_ALL;
    }
    o[1].set = set;
    o[1].set_count = 1;
    ck_ok(vitx_explain_many(maps, p.c, (const vitx_image *const[]){p.image}, 1, o, 3));
    ck_ok(vitx_map_get_info(&info, maps[0]));
    const size_t planes = (size_t)(info.shape[0] * info.shape[1]);
    const size_t n = (size_t)(info.shape[2] * info.shape[3]);
    for (size_t k = 0; k < planes; k++) {
        const float *plain = vitx_map_values(maps[0]) + k * n,
                    *found = vitx_map_values(maps[1]) + k * n,
                    *prompt = vitx_map_values(maps[2]) + k * n;
        float low = INFINITY, high = -INFINITY;
        for (size_t j = 0; j < n; j++) {
            low = fminf(low, prompt[j]);
            high = fmaxf(high, prompt[j]);
        }
        for (size_t j = 0; j < n; j++) {
            const bool above = (prompt[j] - low) / (high - low) > 0.4F;
            ck_assert(above ? found[j] == 0 : found[j] == plain[j]);
            cut += above;
        }
    }
    ck_assert(planes >= 4 && cut >= planes && cut < planes * n);
    for (int j = 0; j < 3; j++)
        vitx_map_free(maps[j]);
    close_pair(&p);
}
END_TEST

/* What a map will cost is not told of one that will be refused. */
static void refuse_cost(const pair *p, const vitx_explain_opts *o, const char *part)
{
    int64_t forwards;
    size_t bytes;
    ck_fails(vitx_explain_forwards(&forwards, p->c, o, 1), VITX_INVALID, part);
    ck_fails(vitx_explain_bytes(&bytes, p->c, o, 1), VITX_INVALID, part);
    refuse_map(p, o, part);
}

/* A vector stands for a text, until there is a picture. */
START_TEST(test_words__cost_before_the_texts)
{
    static const char *const refined[] = {"denoise=0.5", "smooth=1"};
    pair p = open_pair("clip");
    float vector[24] = {1};
    vitx_explain_opts o = explain_text(&p, "maskclip", NULL);
    int64_t forwards;
    size_t bytes;
    o.set = refined;
    o.set_count = 2;
    o.vector = vector;
    o.vector_count = 24;
    o.among_later = 1;
    ck_ok(vitx_explain_forwards(&forwards, p.c, &o, 1));
    ck_assert_int_eq(forwards, 1);
    ck_ok(vitx_explain_bytes(&bytes, p.c, &o, 1));
    refuse_map(&p, &o, "among_later is for vitx_explain_bytes and vitx_explain_forwards");
    o.score = VITX_SCORE_DOT;
    ck_fails(vitx_explain_forwards(&forwards, p.c, &o, 1), VITX_INVALID, "the score is another");
    o.score = VITX_SCORE_AUTO;
    o.texts = NULL;
    refuse_cost(&p, &o, "among_later is for a vector beside a text tower");
    o = explain_text(&p, "maskclip", "a cat");
    o.among_later = 1;
    refuse_cost(&p, &o, "among_later is for a vector beside a text tower");
    o = explain_text(&p, "legrad", NULL);
    o.vector = vector;
    o.vector_count = 24;
    o.among_later = 1;
    refuse_cost(&p, &o, "legrad compares no texts");
    close_pair(&p);
}
END_TEST

/* Options that need more than what is given. */
START_TEST(test_words__bad_options_for_texts)
{
    static const char *const corrected[] = {"correction=0.8"}, *const high[] = {"correction=1.5"},
                             *const denoised[] = {"denoise=0.5"}, *const smoothed[] = {"smooth=1"},
                             *const bare[] = {"norm=drop"}, *const odd[] = {"keys=rows"},
                             *const idle[] = {"keys=patches", "denoise=0.1"};
    pair p = open_pair("clip"), other = open_pair("siglip");
    float vector[24] = {1};
    vitx_label_set *set = set_of(p.texts, labels_of(&p), LABELS, NULL, NULL);
    vitx_explain_opts o = explain_text(&p, "legrad", p.labels[0]);
    o.set_count = 1;
    o.set = bare;
    refuse_map(&p, &o, "a head that pools by attention");
    o.set = high;
    refuse_map(&p, &o, "a number from 0 to 1 is expected");
    o.set = corrected;
    o.text = NULL;
    o.vector = vector;
    o.vector_count = 24;
    o.texts = other.texts;
    refuse_map(&p, &o, "the texts' vectors have 32 numbers, the model's outputs are 24");
    o.texts = NULL;
    refuse_map(&p, &o, "there is no text tower");
    o = explain_text(&p, "maskclip", p.labels[0]);
    o.set_count = 1;
    o.set = denoised;
    refuse_map(&p, &o, "denoise compares the cosines of a text and others, and no texts");
    o.versus_text = p.labels[1];
    refuse_map(&p, &o, "no texts to be told from are given");
    o.versus_text = NULL;
    o.among = set;
    o.score = VITX_SCORE_DOT;
    o.set = smoothed;
    refuse_map(&p, &o, "of a text and others, and the score is another");
    o.score = VITX_SCORE_AUTO;
    o.set = odd;
    refuse_map(&p, &o, "one of channels|patches");
    o.set = idle;
    o.set_count = 2;
    refuse_map(&p, &o, "keys=patches is for smooth, which is 0: it needs smooth=S");
    o = explain_text(&p, "maskclip", NULL);
    o.vector = vector;
    o.vector_count = 24;
    o.set = denoised;
    o.set_count = 1;
    refuse_cost(&p, &o, "and no texts to be told from are given");
    o.texts = NULL;
    refuse_cost(&p, &o, "and no texts to be told from are given");
    vitx_label_set_free(set);
    close_pair(&other);
    close_pair(&p);
}
END_TEST

START_TEST(test_words__bad_texts_to_be_told_from)
{
    pair p = open_pair("clip"), other = open_pair("siglip");
    const char *text = "a cat";
    vitx_label_set *set = set_of(p.texts, labels_of(&p), LABELS, NULL, NULL),
                   *same = set_of(p.texts, &text, 1, NULL, NULL),
                   *foreign = set_of(other.texts, labels_of(&p), LABELS, NULL, NULL);
    vitx_explain_opts o = explain_text(&p, "surgery", text);
    o.among = foreign;
    refuse_map(&p, &o, "told from have 32 numbers, the model's outputs are 24");
    o.among = same;
    refuse_map(&p, &o, "surgery: no text to be told from is another than \"a cat\": see among");
    ck_assert_str_eq(vitx_last_error_field(), "among");
    o.among = set;
    o.versus_text = "a dog";
    refuse_map(&p, &o, "with a text to set against");
    o.versus_text = o.text = NULL;
    refuse_map(&p, &o, "without a text");
    o = explain_text(&p, "legrad", text);
    o.among = set;
    refuse_map(&p, &o, "legrad compares no texts");
    vitx_label_set_free(set);
    vitx_label_set_free(same);
    vitx_label_set_free(foreign);
    close_pair(&other);
    close_pair(&p);
}
END_TEST

static int count_call(int64_t done, int64_t total, void *payload)
{
    (void)done;
    (void)total;
    ++*(int *)payload;
    return 0;
}

/* The tower runs for none of several ways if it can be seen that one of them is wrong. */
START_TEST(test_words__refused_before_a_text_is_run)
{
    pair p = open_pair("clip");
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_texts_opts to = VITX_TEXTS_OPTS_INIT;
    vitx_label_set *set;
    vitx_map *maps[2];
    int calls = 0;
    co.progress = count_call;
    co.progress_payload = &calls;
    to.context = &co;
    vitx_texts_free(p.texts);
    ck_ok(vitx_texts_create(&p.texts, p.model, &to));
    set = set_of(p.texts, labels_of(&p), LABELS, NULL, NULL);
    vitx_explain_opts o[] = {explain_text(&p, "surgery", "a cow"),
                             explain_text(&p, "legrad", "a cow")};
    o[0].among = o[1].among = set;
    ck_assert_int_gt(calls, 0);
    calls = 0;
    ck_fails(vitx_explain_many(maps, p.c, (const vitx_image *const[]){p.image}, 1, o, 2),
             VITX_INVALID, "legrad compares no texts");
    ck_assert_int_eq(calls, 0);
    o[1].among = NULL;
    ck_ok(vitx_explain_many(maps, p.c, (const vitx_image *const[]){p.image}, 1, o, 2));
    ck_assert_int_gt(calls, 0);
    vitx_map_free(maps[0]);
    vitx_map_free(maps[1]);
    vitx_label_set_free(set);
    close_pair(&p);
}
END_TEST

START_TEST(test_words__bad_words)
{
    pair p = open_pair("clip"), other = open_pair("siglip");
    float zero[24] = {0}, bad[24] = {1, INFINITY};
    vitx_words_opts o = VITX_WORDS_OPTS_INIT;
    vitx_words *words = (vitx_words *)1;
    ck_fails(vitx_explain_words(&words, p.texts, p.c, p.image, NULL), VITX_INVALID, "no text");
    ck_assert(!words);
    o.text = "a cat";
    ck_fails(vitx_explain_words(&words, p.texts, p.c, NULL, &o), VITX_INVALID, "NULL");
    ck_fails(vitx_explain_words(&words, p.texts, NULL, p.image, &o), VITX_INVALID, "NULL");
    ck_fails(vitx_explain_words(&words, NULL, p.c, p.image, &o), VITX_INVALID, "NULL");
    ck_fails(vitx_explain_words(NULL, p.texts, p.c, p.image, &o), VITX_INVALID, "NULL");
    ck_fails(vitx_explain_words(&words, other.texts, p.c, p.image, &o), VITX_INVALID, "32 numbers");
    o.method = "magic";
    ck_fails(vitx_explain_words(&words, p.texts, p.c, p.image, &o), VITX_INVALID, "magic");
    o.method = NULL;
    o.vector = zero;
    ck_fails(vitx_explain_words(&words, p.texts, NULL, NULL, &o), VITX_INVALID, "no direction");
    o.vector = bad;
    ck_fails(vitx_explain_words(&words, p.texts, NULL, NULL, &o), VITX_INVALID, "number 1");
    close_pair(&other);
    close_pair(&p);
}
END_TEST

static void refuse_tower(const char *pictures, const char *texts, const char *tokenizer,
                         const char *clean, int code, const char *part)
{
    vitx_texts_opts o = VITX_TEXTS_OPTS_INIT;
    vitx_texts *t = (vitx_texts *)1;
    vitx_model *model;
    char *path = texts ? strdup(golden_path(texts)) : NULL;
    ck_ok(vitx_model_open(&model, golden_path(pictures), NULL));
    o.path = path;
    o.tokenizer = tokenizer;
    o.clean = clean;
    ck_fails(vitx_texts_create(&t, model, &o), code, part);
    ck_assert(!t);
    vitx_model_free(model);
    free(path);
}

/* The vector [K] of a label by the text tower that belongs to a model. */
static void label_vector(float *out, vitx_model *model, const vitx_texts_opts *opts,
                         vitx_texts_info *info)
{
    static const char *const label = "a photo of a cat";
    const vitx_texts_info init = VITX_TEXTS_INFO_INIT;
    vitx_texts *texts;
    ck_ok(vitx_texts_create(&texts, model, opts));
    *info = init;
    ck_ok(vitx_texts_get_info(info, texts));
    ck_ok(vitx_texts_embed(out, texts, &label, 1, 0));
    info->kind = info->tokenizer = NULL; /* they go with the tower */
    vitx_texts_free(texts);
}

/* Of two networks in one file both towers are those that the model's key says; "model" is the one
 * of model.safetensors. A path of the text tower's own has nothing to do with the key. */
START_TEST(test_words__the_models_key_holds)
{
    static const char *const keys[] = {"model", "model_ema"};
    float vectors[2][64], single[64];
    char *folder = changed_model("clip", "", NULL, NULL),
         *from = path_of("clip-keys", "weights.pt");
    char path[600];
    size_t size;
    void *bytes = read_file(from, &size);
    vitx_texts_info info;
    vitx_texts *texts;
    vitx_texts_opts apart = VITX_TEXTS_OPTS_INIT;
    snprintf(path, sizeof path, "%s/weights.pt", folder);
    write_file(path, bytes, size);
    for (int i = 0; i < 2; i++) {
        vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
        vitx_model *model;
        mo.weights_key = keys[i];
        ck_ok(vitx_model_open(&model, path, &mo));
        label_vector(vectors[i], model, NULL, &info);
        apart.path = folder;
        label_vector(single, model, &apart, &info);
        apart.path = path;
        ck_fails(vitx_texts_create(&texts, model, &apart), VITX_FORMAT, "under several keys");
        vitx_model_free(model);
    }
    for (int k = 0; k < info.units; k++)
        ck_assert(vectors[0][k] == single[k] && vectors[1][k] == -single[k]);
    free(bytes);
    free(from);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* What the model leaves out is left out here, too; its heads are not the text tower's. */
START_TEST(test_words__the_models_options_hold)
{
    char *path = path_of("clip", "");
    float vector[64], other[64];
    vitx_texts_info info;
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_texts_opts to = VITX_TEXTS_OPTS_INIT;
    vitx_model *model;
    ck_ok(vitx_model_open(&model, path, NULL));
    label_vector(vector, model, NULL, &info);
    ck_assert(info.heads == 2 && fabsf(info.scale - 7.389f) < 0.01f);
    vitx_model_free(model);
    mo.ignore = "logit_*";
    mo.heads = 4;
    ck_ok(vitx_model_open(&model, path, &mo));
    label_vector(other, model, NULL, &info);
    ck_assert(info.heads == 2 && info.scale == 1);
    ck_assert_mem_eq(vector, other, (size_t)info.units * sizeof *vector);
    to.heads = 4;
    label_vector(other, model, &to, &info);
    ck_assert_int_eq(info.heads, 4);
    ck_assert(memcmp(vector, other, (size_t)info.units * sizeof *vector) != 0);
    to.heads = -1;
    vitx_texts *texts;
    ck_fails(vitx_texts_create(&texts, model, &to), VITX_INVALID, "heads = -1");
    vitx_model_free(model);
    free(path);
}
END_TEST

START_TEST(test_words__bad_towers)
{
    vitx_texts *t;
    char *empty = make_folder();
    refuse_tower("models/vit-timm", NULL, NULL, NULL, VITX_UNSUPPORTED, "classes of its own");
    refuse_tower("models/clip-hf", NULL, NULL, NULL, VITX_UNSUPPORTED, "text");
    refuse_tower("words/clip", "words/siglip", NULL, NULL, VITX_UNSUPPORTED,
                 "vectors have 32 numbers, the picture tower's 24");
    refuse_tower("words/clip", NULL, empty, NULL, VITX_IO, "");
    refuse_tower("words/clip", NULL, "/nowhere", NULL, VITX_IO, "nowhere");
    refuse_tower("words/clip", NULL, NULL, "soap", VITX_INVALID, "soap");
    refuse_tower("words/chinese-clip", NULL, "test/golden/words/clip", NULL, VITX_FORMAT,
                 "ids up to");
    ck_fails(vitx_texts_create(&t, NULL, NULL), VITX_INVALID, "NULL");
    vitx_texts_free(NULL);
    vitx_label_set_free(NULL);
    vitx_words_free(NULL);
    remove_folder(empty);
    free(empty);
}
END_TEST

/* ------------------------------------------------------------------ hostile texts ---------- */

static char *long_text(size_t bytes, const char *part)
{
    char *text = malloc(bytes + 1);
    const size_t length = strlen(part);
    for (size_t i = 0; i < bytes; i++)
        text[i] = part[i % length];
    text[bytes] = '\0';
    return text;
}

static void check_hostile(pair *p, const char *text)
{
    float *vector = calloc((size_t)p->info.units, sizeof *vector);
    vitx_words_opts opts = VITX_WORDS_OPTS_INIT;
    vitx_words_info info = VITX_WORDS_INFO_INIT;
    vitx_words *words;
    int count, cut;
    ck_ok(vitx_texts_embed(vector, p->texts, &text, 1, 1));
    ck_assert_double_eq_tol(dot(vector, vector, p->info.units), 1, 1e-5);
    ck_ok(vitx_texts_tokens(NULL, 0, &count, &cut, p->texts, text));
    ck_assert(count >= 0 && count <= p->info.context);
    opts.text = text;
    opts.vector = vector; /* any direction */
    ck_ok(vitx_explain_words(&words, p->texts, NULL, NULL, &opts));
    ck_ok(vitx_words_get_info(&info, words));
    ck_assert_double_eq_tol(info.value, 1, 1e-5);
    for (int i = 0; i < info.count; i++)
        ck_assert(info.words[i].start < info.words[i].end && isfinite(info.words[i].relevance) &&
                  info.words[i].end <= strlen(text));
    vitx_words_free(words);
    free(vector);
}

START_TEST(test_words__hostile_texts)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "\xff\xfe\xfd",
                                        "a\xc3",
                                        "\xe4\xb8",
                                        "\xf4\x90\x80\x80",
                                        "\xed\xa0\x80 cat",
                                        "\xe2\x80\xae"
                                        "tac a fo otohp\xe2\x80\xac",
                                        "\xef\xbb\xbf"
                                        "a cat",
                                        "\x01\x02\x7f",
                                        "a\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81",
                                        "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9",
                                        "<|endoftext|> cat <|startoftext|>",
                                        "[CLS] [SEP] [MASK]",
                                        "</s><s><pad>",
                                        "{}{}{}",
                                        "%s%n"};
    pair p = open_pair(kinds[_i]);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_hostile(&p, texts[i]);
    close_pair(&p);
}
END_TEST

START_TEST(test_words__long_texts)
{
    static const char *const parts[] = {"cat ", "cat", "\xe7\x8c\xab", "\xff"};
    pair p = open_pair(kinds[_i]);
    const size_t much = (size_t)(_i || SANITIZED ? 1 : 10) << 20;
    float *vector = calloc((size_t)p.info.units, sizeof *vector);
    vitx_words_opts opts = VITX_WORDS_OPTS_INIT;
    vitx_words *words;
    for (int i = 0; i < 4; i++) {
        char *text = long_text(i ? ((size_t)1 << 20) + 1 : much + 1, parts[i]);
        int count, cut;
        ck_ok(vitx_texts_embed(vector, p.texts, (const char *const *)&text, 1, 1));
        ck_ok(vitx_texts_tokens(NULL, 0, &count, &cut, p.texts, text));
        ck_assert(count <= p.info.context);
        ck_assert(i != 0 || cut);
        opts.text = text;
        opts.vector = vector;
        ck_fails(vitx_explain_words(&words, p.texts, NULL, NULL, &opts), VITX_INVALID, "bytes");
        text[6000] = '\0';
        check_hostile(&p, text);
        free(text);
    }
    char *huge = long_text(((size_t)16 << 20) + 1, "cat ");
    ck_fails(vitx_texts_embed(vector, p.texts, (const char *const *)&huge, 1, 1), VITX_INVALID,
             "a text of 16777217 bytes");
    free(huge);
    free(vector);
    close_pair(&p);
}
END_TEST

/* What is behind the tower's last token does not count, and is told. */
START_TEST(test_words__cut_texts)
{
    pair p = open_pair(kinds[_i]);
    char *text = long_text(2000, "cat dog "), *longer = long_text(3000, "cat dog ");
    const char *both[] = {text, longer};
    float *vectors = calloc(2 * (size_t)p.info.units, sizeof *vectors);
    vitx_words_opts opts = VITX_WORDS_OPTS_INIT;
    vitx_words_info words_info = VITX_WORDS_INFO_INIT;
    vitx_label_set_info info;
    vitx_words *words;
    vitx_label_set *set = set_of(p.texts, both, 2, NULL, &info);
    ck_assert_int_eq(info.cut, 2);
    ck_ok(vitx_texts_embed(vectors, p.texts, both, 2, 0));
    for (int k = 0; k < info.units; k++)
        ck_assert_double_eq_tol((double)vectors[k], (double)vectors[info.units + k], 1e-5);
    opts.text = text;
    ck_ok(vitx_explain_words(&words, p.texts, p.c, p.image, &opts));
    ck_ok(vitx_words_get_info(&words_info, words));
    ck_assert(words_info.cut && words_info.count == 500);
    ck_assert(words_info.words[0].tokens > 0 && words_info.words[499].tokens == 0);
    ck_assert(words_info.words[499].relevance == 0);
    vitx_words_free(words);
    vitx_label_set_free(set);
    free(vectors);
    free(text);
    free(longer);
    close_pair(&p);
}
END_TEST

typedef struct course {
    int64_t done, total;
    int calls;
} course;

static int follow(int64_t done, int64_t total, void *payload)
{
    course *c = payload;
    ck_assert(done > c->done && done <= total && (c->calls == 0 || total == c->total));
    *c = (course){done, total, c->calls + 1};
    return 0;
}

/* Sentences of several bundles are one call: its progress goes from 0 to its end once. */
START_TEST(test_words__progress_of_many_labels)
{
    enum { MANY = 9000, ROOM = 16 };
    pair p = open_pair(kinds[_i]);
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_texts_opts to = VITX_TEXTS_OPTS_INIT;
    vitx_label_set *set;
    course seen = {0};
    char *text = calloc(MANY, ROOM);
    const char **labels = malloc(MANY * sizeof *labels);
    for (int i = 0; i < MANY; i++) {
        snprintf(text + (size_t)i * ROOM, ROOM, "a %d", i);
        labels[i] = text + (size_t)i * ROOM;
    }
    co.progress = follow;
    co.progress_payload = &seen;
    to.context = &co;
    vitx_texts_free(p.texts);
    ck_ok(vitx_texts_create(&p.texts, p.model, &to));
    ck_ok(vitx_label_set_create(&set, p.texts, labels, MANY, NULL));
    ck_assert(seen.calls > 1 && seen.done == seen.total);
    vitx_label_set_free(set);
    free(labels);
    free(text);
    close_pair(&p);
}
END_TEST

START_TEST(test_words__a_thousand_labels)
{
    enum { MANY = 1000, SHOWN = 20 };
    static char text[MANY][40];
    const char *list[MANY];
    pair p = open_pair(kinds[_i]);
    vitx_prediction top[MANY];
    vitx_label_set_info info;
    double sum = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], i % 2 ? "\xe7\x8c\xab %d" : "a photo of cat %d", i);
        list[i] = text[i];
    }
    vitx_label_set *set = set_of(p.texts, list, MANY, NULL, &info);
    ck_ok(vitx_classify_texts(p.c, (const vitx_image *const[]){p.image}, 1, set, top, MANY));
    bool seen[MANY] = {false};
    for (int i = 0; i < MANY; i++) {
        ck_assert(top[i].index >= 0 && !seen[top[i].index]);
        seen[top[i].index] = true;
        sum += (double)top[i].probability;
        ck_assert(!i || top[i].logit <= top[i - 1].logit);
    }
    if (info.outputs == VITX_OUTPUTS_SOFTMAX)
        ck_assert_double_eq_tol(sum, 1, 1e-4);
    vitx_prediction few[SHOWN];
    ck_ok(vitx_classify_texts(p.c, (const vitx_image *const[]){p.image}, 1, set, few, SHOWN));
    for (int i = 0; i < SHOWN; i++)
        ck_assert(few[i].index == top[i].index && few[i].logit == top[i].logit);
    vitx_label_set_free(set);
    close_pair(&p);
}
END_TEST

/* ------------------------------------------------------------------ allocations ------------ */

/* Two maps whose methods ask the text tower themselves, or compare texts. */
static int compare_texts(vitx_context *c, vitx_texts *texts, const vitx_image *image,
                         const vitx_label_set *among)
{
    static const char *const corrected[] = {"correction=0.8"};
    static const char *const refined[] = {"denoise=0.1", "smooth=1"};
    vitx_explain_opts o[2] = {VITX_EXPLAIN_OPTS_INIT, VITX_EXPLAIN_OPTS_INIT};
    vitx_map *maps[2] = {NULL, NULL};
    for (int j = 0; j < 2; j++) {
        o[j].texts = texts;
        o[j].text = "a cat";
        o[j].method = j ? "maskclip" : "legrad";
        o[j].set = j ? refined : corrected;
        o[j].set_count = j + 1;
    }
    o[1].among = among;
    const int status = vitx_explain_many(maps, c, &image, 1, o, 2);
    vitx_map_free(maps[0]);
    vitx_map_free(maps[1]);
    return status;
}

/* Open both towers, classify, explain, words, all with memory that is counted. */
static int use_all(vitx_context *c, vitx_texts *texts, const vitx_image *image, const char *cache)
{
    static const char *const labels[] = {"a cat", "\xe7\x8c\xab"}, *const templates[] = {"a {}"};
    vitx_label_set_opts so = VITX_LABEL_SET_OPTS_INIT;
    vitx_explain_opts eo = VITX_EXPLAIN_OPTS_INIT;
    vitx_words_opts wo = VITX_WORDS_OPTS_INIT;
    vitx_label_set *set = NULL;
    vitx_map *map = NULL;
    vitx_words *words = NULL;
    vitx_prediction top[2];
    so.templates = templates;
    so.template_count = 1;
    so.cache = cache;
    eo.method = "gradcam";
    eo.texts = texts;
    eo.text = "a cat";
    eo.versus_text = "a dog";
    wo.text = "a red car";
    wo.method = "relevance";
    int status = vitx_label_set_create(&set, texts, labels, 2, &so);
    if (status == VITX_OK)
        status = vitx_classify_texts(c, &image, 1, set, top, 2);
    if (status == VITX_OK)
        status = vitx_explain(&map, c, image, &eo);
    if (status == VITX_OK)
        status = compare_texts(c, texts, image, set);
    if (status == VITX_OK)
        status = vitx_explain_words(&words, texts, c, image, &wo);
    vitx_words_free(words);
    vitx_map_free(map);
    vitx_label_set_free(set);
    return status;
}

static int whole_way(const vitx_hooks *hooks, const char *path, const vitx_image *image,
                     const char *cache)
{
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_texts *texts = NULL;
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_texts_opts to = VITX_TEXTS_OPTS_INIT;
    mo.hooks = hooks;
    mo.ignore = "logit_scale"; /* copied, for the text tower */
    co.threads = 1;
    to.context = &co;
    int status = vitx_model_open(&model, path, &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_texts_create(&texts, model, &to);
    if (status == VITX_OK)
        status = use_all(c, texts, image, cache);
    vitx_texts_free(texts);
    vitx_context_free(c);
    vitx_model_free(model);
    return status;
}

START_TEST(test_words__every_allocation_may_fail)
{
    char *path = path_of(kinds[_i], ""), *folder = make_folder(), cache[600];
    ration r = {.left = -1};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_image *image;
    int survived = 0, tried = 0;
    hooks.alloc = ration_alloc;
    hooks.release = ration_release;
    hooks.payload = &r;
    snprintf(cache, sizeof cache, "%s/labels.vitx", folder);
    ck_ok(vitx_image_open(&image, golden_path("texts/picture.png")));
    ck_ok(whole_way(&hooks, path, image, cache)); /* writes the cache, which is read from now on */
    r = (ration){.left = -1};
    ck_ok(whole_way(&hooks, path, image, cache));
    const int calls = r.calls, step = SANITIZED ? 7 : 1;
    ck_assert(calls > 50 && r.live == 0);
    for (int n = 0; n < calls; n += step, tried++) {
        r = (ration){.left = n};
        const int status = whole_way(&hooks, path, image, cache);
        ck_assert_msg(status == VITX_NOMEM || status == VITX_OK, "allocation %d of %d: %s: %s", n,
                      calls, vitx_status_name(status), vitx_last_error());
        ck_assert_msg(r.live == 0, "%d allocations stay behind when number %d fails", r.live, n);
        survived += status == VITX_OK;
    }
    ck_assert_msg(survived * 10 <= tried, "%d of %d survive", survived, tried); /* what is kept */
    vitx_image_free(image);
    remove_folder(folder);
    free(folder);
    free(path);
}
END_TEST

/* ------------------------------------------------------------------ threads ---------------- */

enum { THREADS = 2, ROUNDS = SANITIZED ? 3 : 20 };

typedef struct work {
    pair *p;
    vitx_context *c;      /* its own */
    const float *vectors; /* [LABELS,K] what a text must become */
    int wrong;
} work;

static bool is_near(const float *a, const float *b, int count)
{
    for (int k = 0; k < count; k++)
        if (!(fabs((double)a[k] - (double)b[k]) < 2e-6))
            return false;
    return true;
}

static bool work_once(work *w, int turn)
{
    const pair *p = w->p;
    const int units = p->info.units, at = turn % LABELS;
    float vector[64];
    vitx_text_token tokens[MOST_TOKENS];
    int count, cut;
    vitx_map *map = NULL;
    vitx_words *words = NULL;
    vitx_label_set *set = NULL;
    vitx_explain_opts o = explain_text(p, "gradcam", p->labels[at]);
    vitx_words_opts wo = VITX_WORDS_OPTS_INIT;
    wo.text = p->labels[at];
    wo.vector = w->vectors;
    bool right =
        vitx_texts_embed(vector, p->texts, labels_of(p) + at, 1, 1) == VITX_OK &&
        is_near(vector, w->vectors + at * units, units) &&
        vitx_texts_tokens(tokens, MOST_TOKENS, &count, &cut, p->texts, wo.text) == VITX_OK &&
        vitx_explain(&map, w->c, p->image, &o) == VITX_OK &&
        vitx_explain_words(&words, p->texts, NULL, NULL, &wo) == VITX_OK &&
        vitx_label_set_create(&set, p->texts, labels_of(p), LABELS, NULL) == VITX_OK &&
        is_near(vitx_label_set_vectors(set), w->vectors, LABELS * units);
    vitx_map_free(map);
    vitx_words_free(words);
    vitx_label_set_free(set);
    return right;
}

static void *work_on(void *of)
{
    work *w = of;
    for (int i = 0; i < ROUNDS; i++)
        w->wrong += !work_once(w, i);
    return NULL;
}

START_TEST(test_words__threads_share_a_tower)
{
    pair p = open_pair(kinds[_i]);
    pthread_t threads[THREADS];
    work w[THREADS];
    float *vectors = calloc(LABELS * (size_t)p.info.units, sizeof *vectors);
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    ck_ok(vitx_texts_embed(vectors, p.texts, labels_of(&p), LABELS, 1));
    co.threads = 1;
    for (int i = 0; i < THREADS; i++) {
        w[i] = (work){.p = &p, .vectors = vectors};
        ck_ok(vitx_context_create(&w[i].c, p.model, &co));
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work_on, &w[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(w[i].wrong, 0);
        vitx_context_free(w[i].c);
    }
    free(vectors);
    close_pair(&p);
}
END_TEST

static Suite *words_suite(void)
{
    Suite *suite = suite_create("words");
    TCase *t = tcase_create("words");
    tcase_add_loop_test(t, test_words__labels_are_what_the_library_answers, 0, 2 * KINDS);
    tcase_add_loop_test(t, test_words__order_does_not_matter, 0, KINDS);
    tcase_add_loop_test(t, test_words__words_match_autograd, 0, KINDS);
    tcase_add_loop_test(t, test_words__of_a_vector, 0, KINDS);
    tcase_add_loop_test(t, test_words__a_text_is_its_vector, 0, KINDS);
    tcase_add_loop_test(t, test_words__against_a_text, 0, KINDS);
    tcase_add_loop_test(t, test_words__maps_of_texts_are_measured, 0, KINDS);
    tcase_add_loop_test(t, test_words__a_cache_keeps_vectors, 0, KINDS);
    tcase_add_test(t, test_words__a_damaged_cache_is_not_read);
    tcase_add_test(t, test_words__a_cache_of_another_model_is_not_read);
    tcase_add_test(t, test_words__digests_of_texts);
    tcase_add_test(t, test_words__a_digest_is_not_made_twice);
    tcase_add_test(t, test_words__a_cache_that_cannot_be_written);
    tcase_add_test(t, test_words__bad_labels);
    tcase_add_test(t, test_words__bad_texts_to_explain);
    tcase_add_loop_test(t, test_words__among_texts, 0, 4);
    tcase_add_loop_test(t, test_words__maps_are_what_the_formulas_give, 0, 4);
    tcase_add_loop_test(t, test_words__planes_are_corrected_one_by_one, 0, 2);
    tcase_add_test(t, test_words__bad_options_for_texts);
    tcase_add_test(t, test_words__bad_texts_to_be_told_from);
    tcase_add_test(t, test_words__refused_before_a_text_is_run);
    tcase_add_test(t, test_words__cost_before_the_texts);
    tcase_add_test(t, test_words__bad_words);
    tcase_add_test(t, test_words__the_models_key_holds);
    tcase_add_test(t, test_words__the_models_options_hold);
    tcase_add_test(t, test_words__bad_towers);
    tcase_add_loop_test(t, test_words__hostile_texts, 0, KINDS);
    if (!SANITIZED_THREADS) /* the tokenizer's time, and it is one thread's */
        tcase_add_loop_test(t, test_words__long_texts, 0, KINDS);
    tcase_add_loop_test(t, test_words__cut_texts, 0, KINDS);
    tcase_add_loop_test(t, test_words__a_thousand_labels, 0, KINDS);
    tcase_add_loop_test(t, test_words__progress_of_many_labels, 0, SANITIZED_THREADS ? 1 : KINDS);
    tcase_add_loop_test(t, test_words__every_allocation_may_fail, 0, KINDS);
    tcase_add_loop_test(t, test_words__threads_share_a_tower, 0, KINDS);
    suite_add_tcase(suite, t);
    return suite;
}

VX_TEST_MAIN(words_suite)
