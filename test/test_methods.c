/*
 * Every explanation method against pytorch-grad-cam, Captum and PyTorch's autograd in float64, and
 * the gradients that they are made of: the lines of cases.txt and gradients.txt in
 * test/golden/methods, whose README.md describes them. Those of vectors.txt are maps that are asked
 * for by a vector, as a text is, or were made for such.
 *
 *     test_methods [--list] [WORD...]
 *
 * With words only the cases whose name holds one of them are run, and each says how far off it is.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

enum { MOST_CASES = 2000, MOST_SETTINGS = 8 };

/* A line and the "subject" line above it. */
typedef struct entry {
    const char *line, *subject;
} entry;

typedef struct list {
    char text[1 << 18];
    entry entries[MOST_CASES];
    int count;
    int tiny;  /* the first `tiny` are models of test/golden, */
    int first; /* of these the first `first` of one model     */
} list;

static list maps, gradients, vectors;
static bool talkative;

/* ------------------------------------------------------------------ the list ---------------- */

/* The value of " key=value" in a line; false, and "", where it is not there. */
static bool field(char *out, size_t size, const char *line, const char *key)
{
    char start[32];
    snprintf(start, sizeof start, " %s=", key);
    const char *at = strstr(line, start);
    const char *value = at ? at + strlen(start) : "";
    snprintf(out, size, "%.*s", (int)strcspn(value, " \n"), value);
    return at != NULL;
}

static double number(const char *line, const char *key)
{
    char text[64];
    ck_assert_msg(field(text, sizeof text, line, key), "no %s in: %s", key, line);
    return atof(text);
}

/* "golden/..." and "shared/..." as a path. */
static const char *place(const char *name)
{
    return strncmp(name, "shared/", 7) == 0 ? shared_path(name + 7) : golden_path(name + 7);
}

/* Whether a line's name holds one of the words; any does where there are none. */
static bool wanted(const char *line, char **words, int count)
{
    const size_t length = strcspn(line, " ");
    for (int i = 0; i < count; i++) {
        const char *at = strstr(line, words[i]);
        if (at && (size_t)(at - line) + strlen(words[i]) <= length)
            return true;
    }
    return count == 0;
}

/* Reads a file's lines. Subjects of ../shared come last in it. (read_file() asserts, which is for
 * inside of tests.) */
static void find_entries(list *l, const char *name, char **words, int count)
{
    char *subject = NULL, *save = NULL;
    bool shared = false, here = true;
    FILE *f = fopen(golden_path(name), "rb");
    if (!f)
        return;
    l->text[fread(l->text, 1, sizeof l->text - 1, f)] = '\0';
    fclose(f);
    for (char *line = strtok_r(l->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "subject ", 8) == 0) {
            const bool before = shared;
            subject = line;
            shared = strstr(line, " model=shared/") != NULL;
            if (shared && !before)
                here = have_real_model("methods on the real DeiT-tiny");
        } else if (wanted(line, words, count) && (here || !shared) && l->count < MOST_CASES) {
            l->entries[l->count++] = (entry){line, subject};
            l->tiny += !shared;
            l->first += subject == l->entries[0].subject;
        }
    }
}

/* ------------------------------------------------------------------ a case ------------------ */

typedef struct request {
    char text[200]; /* cut into what follows */
    const char *set[MOST_SETTINGS];
    vitx_explain_opts opts;
    bool pooled, with_picture;
} request;

static int whole_number(const char *text)
{
    return strcmp(text, "all") == 0 ? VITX_ALL : atoi(text);
}

/* One "key=value" of a case's name. */
static void take_option(request *r, char *word)
{
    char *value = strchr(word, '=');
    ck_assert_msg(value != NULL, "%s is not key=value", word);
    const size_t length = (size_t)(value++ - word);
    vitx_explain_opts *o = &r->opts;
    const struct {
        const char *key;
        int *field;
    } numbers[] = {{"target", &o->target},
                   {"layer", &o->layer},
                   {"head", &o->head},
                   {"query", &o->query},
                   {"versus", &o->versus}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strlen(numbers[i].key) == length && memcmp(word, numbers[i].key, length) == 0) {
            *numbers[i].field = whole_number(value);
            return;
        }
    if (length == 5 && memcmp(word, "score", 5) == 0) {
        o->score = strcmp(value, "probability") == 0  ? VITX_SCORE_PROBABILITY
                   : strcmp(value, "difference") == 0 ? VITX_SCORE_DIFFERENCE
                   : strcmp(value, "cosine") == 0     ? VITX_SCORE_COSINE
                                                      : VITX_SCORE_LOGIT;
        return;
    }
    ck_assert_int_lt(o->set_count, MOST_SETTINGS);
    r->set[o->set_count++] = word;
    r->pooled = r->pooled || strcmp(word, "grid=mean") == 0;
    r->with_picture = r->with_picture || strcmp(word, "baseline=picture") == 0;
}

/* "SUBJECT/METHOD,key=value,..." as options; of a gradient the method is the tensor. */
static void read_request(request *r, const char *line)
{
    char *save = NULL;
    *r = (request){.opts = VITX_EXPLAIN_OPTS_INIT};
    snprintf(r->text, sizeof r->text, "%.*s", (int)strcspn(line, " "), line);
    r->opts.set = r->set;
    strtok_r(r->text, "/", &save);
    r->opts.method = strtok_r(NULL, ",", &save);
    for (char *word = strtok_r(NULL, ",", &save); word; word = strtok_r(NULL, ",", &save))
        take_option(r, word);
}

static vitx_image *picture(const char *subject, const char *key)
{
    char name[128];
    vitx_image *image;
    ck_assert_msg(field(name, sizeof name, subject, key), "no %s in: %s", key, subject);
    ck_ok(vitx_image_open(&image, place(name)));
    return image;
}

static void check_shape(const char *line, const int64_t *shape, int rank)
{
    char text[64];
    int axis = 0;
    field(text, sizeof text, line, "shape");
    for (char *at = text; *at; at += *at == ',', axis++) {
        const long expected = strtol(at, &at, 10);
        ck_assert_msg(axis < rank && shape[axis] == expected, "%s: axis %d has %d", line, axis,
                      axis < rank ? (int)shape[axis] : 0);
    }
    ck_assert_msg(axis == rank, "%s: rank %d, not %d", line, rank, axis);
}

/* What a map says of itself against its line; `sum` is that of the expected values. */
static void check_info(const vitx_map_info *info, const request *r, const char *line, double sum)
{
    char text[64];
    if (!field(text, sizeof text, line, "value"))
        return;
    if (field(text, sizeof text, line, "class"))
        ck_assert_msg(info->target == atoi(text), "%s: class %d", line, info->target);
    const double value = number(line, "value");
    ck_assert_msg(fabs(info->value - value) < TOL_LOGITS * (1 + fabs(value)), "%s: value %.9g",
                  line, info->value);
    if (!field(text, sizeof text, line, "base"))
        return;
    const double base = atof(text), error = sum - (value - base);
    ck_assert_msg(fabs(info->base_value - base) < TOL_LOGITS * (1 + fabs(base)), "%s: base %.9g",
                  line, info->base_value);
    ck_assert_msg(r->pooled || fabs(info->completeness_error - error) <
                                   TOL_MAP_WIDE * (1 + fabs(value - base)),
                  "%s: completeness error %.9g, not %.9g", line, info->completeness_error, error);
}

/* A context of the subject's model and its picture. */
typedef struct bench {
    vitx_model *model;
    vitx_context *context;
    vitx_image *image;
} bench;

static bench open_bench(const char *subject, const char *device)
{
    char text[128];
    bench b = {.image = picture(subject, "picture")};
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    co.device = device;
    field(text, sizeof text, subject, "model");
    /* Threads that wait for each other cost more than they save where a model is tiny. */
    co.threads = strcmp(device, "cpu") == 0 && strncmp(text, "shared/", 7) == 0 ? 2 : 1;
    if (field(text, sizeof text, subject, "fit"))
        co.fit = VITX_FIT_SQUASH;
    field(text, sizeof text, subject, "model");
    ck_ok(vitx_model_open(&b.model, place(text), NULL));
    ck_ok(vitx_context_create(&b.context, b.model, &co));
    return b;
}

static void close_bench(bench *b)
{
    vitx_image_free(b->image);
    vitx_context_free(b->context);
    vitx_model_free(b->model);
}

/* values against the `count` numbers that a line points to; gives their sum. */
static double compare(const entry *e, const char *name, const float *values, size_t count,
                      double allowed)
{
    char text[128], path[192];
    field(text, sizeof text, e->subject, "file");
    snprintf(path, sizeof path, "methods/%.127s", text);
    npy all = read_npy(golden_path(path));
    const size_t offset = (size_t)number(e->line, "offset");
    ck_assert_msg(offset + count <= all.count, "%s: %s is too short", name, path);
    const double error = max_error_f32(values, all.data + offset, count);
    if (talkative)
        printf("%.1e\n", error);
    field(text, sizeof text, e->line, "float32");
    ck_assert_msg(error < allowed, "%s: error %.1e, %g is allowed (PyTorch's float32: %s)", name,
                  error, allowed, text);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += all.data[offset + i];
    free_npy(&all);
    return sum;
}

/* "NAME on DEVICE", printed too where somebody listens: a crash should not take it along. */
static void announce(char *name, size_t size, const entry *e, const char *device)
{
    snprintf(name, size, "%.*s on %s", (int)strcspn(e->line, " "), e->line, device);
    if (talkative)
        printf("%s: ", name);
    fflush(stdout);
}

/* sin(k + 1), if the score is the cosine with a vector. */
static void give_vector(vitx_explain_opts *o, const vitx_model *model)
{
    static float vector[64];
    vitx_model_info about = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_get_info(&about, model));
    if (o->score != VITX_SCORE_COSINE)
        return;
    ck_assert_int_le(about.classes, 64);
    for (int k = 0; k < about.classes; k++)
        vector[k] = (float)sin(k + 1);
    o->vector = vector;
    o->vector_count = about.classes;
}

static void check_map(const entry *e, const char *device)
{
    char text[16], name[200];
    request r;
    vitx_map *map;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    announce(name, sizeof name, e, device);
    read_request(&r, e->line);
    bench b = open_bench(e->subject, device);
    vitx_explain_opts o = r.opts;
    vitx_image *other = r.with_picture ? picture(e->subject, "baseline") : NULL;
    o.baseline = other;
    give_vector(&o, b.model);
    const int status = vitx_explain(&map, b.context, b.image, &o);
    ck_assert_msg(status == VITX_OK, "%s: %s: %s", name, vitx_status_name(status),
                  vitx_last_error());
    ck_ok(vitx_map_get_info(&info, map));
    size_t count = 1;
    for (int i = 0; i < 4; i++)
        count *= (size_t)info.shape[i];
    check_shape(e->line, info.shape, info.rank);
    field(text, sizeof text, e->line, "tolerance");
    const double sum = compare(e, name, vitx_map_values(map), count,
                               strcmp(text, "wide") == 0 ? TOL_MAP_WIDE : TOL_MAP);
    check_info(&info, &r, e->line, sum);
    vitx_map_free(map);
    vitx_image_free(other);
    close_bench(&b);
}

START_TEST(test_methods__match_their_libraries)
{
    check_map(&maps.entries[_i], "cpu");
}
END_TEST

/* The same through a device whose memory the host cannot read. A sanitizer learns no more from it
 * than from one model, and test_table.c. */
static int on_ref(const list *l)
{
    return SANITIZED ? l->first : l->tiny;
}

START_TEST(test_methods__match_their_libraries_on_ref)
{
    check_map(&maps.entries[_i], "ref");
}
END_TEST

START_TEST(test_methods__of_vectors_match_their_formulas)
{
    check_map(&vectors.entries[_i], "cpu");
}
END_TEST

START_TEST(test_methods__of_vectors_match_their_formulas_on_ref)
{
    check_map(&vectors.entries[_i], "ref");
}
END_TEST

/* ------------------------------------------------------------------ gradients --------------- */

/* d score / d logits [K]. */
static float *seed(vitx_context *c, const vitx_explain_opts *o)
{
    vitx_view logits;
    ck_ok(vitx_logits(&logits, c));
    const int classes = (int)logits.shape[1];
    const float *x = logits.data;
    float *d = calloc((size_t)classes, sizeof *d);
    if (o->score == VITX_SCORE_PROBABILITY) {
        double sum = 0;
        for (int k = 0; k < classes; k++)
            sum += exp((double)x[k]);
        for (int k = 0; k < classes; k++)
            d[k] = (float)(exp((double)x[o->target]) / sum *
                           ((k == o->target) - exp((double)x[k]) / sum));
        return d;
    }
    d[o->target] = 1;
    if (o->score == VITX_SCORE_DIFFERENCE)
        d[o->versus] = -1;
    return d;
}

/* Of "attention.2", "norm1.0", "block.1" or "pixels". */
static vitx_view gradient_view(vitx_context *c, const char *tensor)
{
    vitx_view view;
    const char *dot = strchr(tensor, '.');
    if (!dot)
        ck_ok(vitx_input_gradient(&view, c));
    else if (tensor[0] == 'a')
        ck_ok(vitx_attention_gradient(&view, c, atoi(dot + 1)));
    else
        ck_ok(vitx_tokens_gradient(&view, c, atoi(dot + 1),
                                   tensor[0] == 'n' ? VITX_AT_NORM1 : VITX_AT_OUTPUT));
    return view;
}

static void check_gradient(const entry *e, const char *device)
{
    char name[200];
    request r;
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    announce(name, sizeof name, e, device);
    read_request(&r, e->line);
    bench b = open_bench(e->subject, device);
    trace.gradients = VITX_GRADIENT_ANY;
    trace.targets = 1;
    ck_ok(vitx_context_set_trace(b.context, &trace));
    ck_ok(vitx_forward(b.context, (const vitx_image *const[]){b.image}, 1));
    float *d = seed(b.context, &r.opts);
    ck_ok(vitx_backward(b.context, d));
    const vitx_view view = gradient_view(b.context, r.opts.method);
    size_t count = 1;
    for (int i = 0; i < view.rank; i++)
        count *= (size_t)view.shape[i];
    check_shape(e->line, view.shape + 1, view.rank - 1);
    compare(e, name, view.data, count, TOL_GRADIENT);
    free(d);
    close_bench(&b);
}

START_TEST(test_gradients__match_autograd)
{
    check_gradient(&gradients.entries[_i], "cpu");
}
END_TEST

START_TEST(test_gradients__match_autograd_on_ref)
{
    check_gradient(&gradients.entries[_i], "ref");
}
END_TEST

/* ------------------------------------------------------------------ the table --------------- */

/* What is random has properties, but no golden numbers. */
static const char *const random_methods[] = {"rise", "lime"};
/* These are in the tests of their own: test_features.c. */
static const char *const own_tests[] = {"features"};

static bool has_case(const list *l, const char *name)
{
    bool found = false;
    for (int i = 0; i < l->count && !found; i++) {
        const char *method = strchr(l->entries[i].line, '/') + 1;
        found = strcspn(method, ", ") == strlen(name) && strncmp(method, name, strlen(name)) == 0;
    }
    return found;
}

START_TEST(test_methods__each_has_a_case)
{
    vitx_method_info info = VITX_METHOD_INFO_INIT;
    for (int m = 0; m < vitx_method_count(); m++) {
        ck_ok(vitx_method_get(&info, m));
        bool found = false;
        for (size_t i = 0; i < sizeof random_methods / sizeof random_methods[0]; i++)
            found = found || strcmp(info.name, random_methods[i]) == 0;
        for (size_t i = 0; i < sizeof own_tests / sizeof own_tests[0]; i++)
            found = found || strcmp(info.name, own_tests[i]) == 0;
        found = found || has_case(&maps, info.name) || has_case(&vectors, info.name);
        ck_assert_msg(found, "method %s has no case in test/golden/methods", info.name);
    }
}
END_TEST

static Suite *methods_suite(void)
{
    Suite *suite = suite_create("methods");
    TCase *tcase = tcase_create("methods");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, test_gradients__match_autograd, 0, gradients.count);
    tcase_add_loop_test(tcase, test_gradients__match_autograd_on_ref, 0, on_ref(&gradients));
    tcase_add_loop_test(tcase, test_methods__match_their_libraries, 0, maps.count);
    tcase_add_loop_test(tcase, test_methods__match_their_libraries_on_ref, 0, on_ref(&maps));
    tcase_add_loop_test(tcase, test_methods__of_vectors_match_their_formulas, 0, vectors.count);
    tcase_add_loop_test(tcase, test_methods__of_vectors_match_their_formulas_on_ref, 0,
                        on_ref(&vectors));
    if (!talkative)
        tcase_add_test(tcase, test_methods__each_has_a_case);
    suite_add_tcase(suite, tcase);
    return suite;
}

static void print_names(const list *l)
{
    for (int i = 0; i < l->count; i++)
        printf("%.*s\n", (int)strcspn(l->entries[i].line, " "), l->entries[i].line);
}

int main(int argc, char **argv)
{
    const bool names = argc > 1 && strcmp(argv[1], "--list") == 0;
    const int first = names ? 2 : 1;
    talkative = argc > first;
    find_entries(&gradients, "methods/gradients.txt", argv + first, argc - first);
    find_entries(&maps, "methods/cases.txt", argv + first, argc - first);
    find_entries(&vectors, "methods/vectors.txt", argv + first, argc - first);
    if (gradients.count + maps.count + vectors.count == 0) {
        printf("no line of test/golden/methods has such a name\n");
        return 1;
    }
    if (!names)
        return run_suite(methods_suite());
    print_names(&gradients);
    print_names(&maps);
    print_names(&vectors);
    return 0;
}
