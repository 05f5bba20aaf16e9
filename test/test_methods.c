/*
 * Every explanation method against pytorch-grad-cam, Captum and PyTorch's autograd in float64: the
 * cases of test/golden/methods/cases.txt, whose README.md describes the lines.
 *
 *     test_methods [--list] [WORD...]
 *
 * With words only the cases whose name holds one of them are run, and each says how far off it is.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

enum { MOST_CASES = 2000, MOST_SETTINGS = 8 };

/* A line of cases.txt and the "subject" line above it. */
static struct {
    const char *line, *subject;
} cases[MOST_CASES];
static int case_count, tiny_count; /* the first tiny_count are models of test/golden */
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

static bool wanted(const char *line, char **words, int count)
{
    char name[200];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " "), line);
    for (int i = 0; i < count; i++)
        if (strstr(name, words[i]))
            return true;
    return count == 0;
}

/* The whole list, or "". (read_file() is for inside of tests.) */
static char *read_list(void)
{
    static char text[1 << 20];
    FILE *f = fopen(golden_path("methods/cases.txt"), "rb");
    if (f) {
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
    }
    return text;
}

/* Reads the list, which lives as long as the program. Subjects of ../shared come last in it. */
static void find_cases(char **words, int count)
{
    char *subject = NULL, *save = NULL, *text = read_list();
    bool shared = false, here = true;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "subject ", 8) == 0) {
            const bool before = shared;
            subject = line;
            shared = strstr(line, " model=shared/") != NULL;
            if (shared && !before)
                here = have_shared("methods on the real DeiT-tiny");
        } else if (wanted(line, words, count) && (here || !shared) && case_count < MOST_CASES) {
            cases[case_count].line = line;
            cases[case_count++].subject = subject;
            tiny_count += !shared;
        }
    }
}

/* ------------------------------------------------------------------ a case ------------------ */

typedef struct request {
    char text[200]; /* cut into what follows */
    const char *name, *set[MOST_SETTINGS];
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
                                                      : VITX_SCORE_LOGIT;
        return;
    }
    ck_assert_int_lt(o->set_count, MOST_SETTINGS);
    r->set[o->set_count++] = word;
    r->pooled = r->pooled || strcmp(word, "grid=mean") == 0;
    r->with_picture = r->with_picture || strcmp(word, "baseline=picture") == 0;
}

/* "SUBJECT/METHOD,key=value,..." as options. */
static void read_request(request *r, const char *line)
{
    char *save = NULL;
    *r = (request){.opts = VITX_EXPLAIN_OPTS_INIT};
    snprintf(r->text, sizeof r->text, "%.*s", (int)strcspn(line, " "), line);
    r->opts.set = r->set;
    strtok_r(r->text, "/", &save);
    r->name = r->opts.method = strtok_r(NULL, ",", &save);
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

/* What the options say and explain_map() gives, against the case's line. */
static void check_info(const vitx_map_info *info, const request *r, const char *line, double sum)
{
    char text[64];
    int64_t shape[4] = {1, 1, 1, 1};
    int rank = 0;
    field(text, sizeof text, line, "shape");
    for (char *at = text; *at && rank < 4; at += *at == ',')
        shape[rank++] = strtol(at, &at, 10);
    ck_assert_msg(info->rank == rank, "%s: rank %d, not %d", line, info->rank, rank);
    for (int i = 0; i < 4; i++)
        ck_assert_msg(info->shape[i] == shape[i], "%s: axis %d has %d", line, i,
                      (int)info->shape[i]);
    if (!field(text, sizeof text, line, "class"))
        return;
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

static vitx_map *explain(const char *subject, const request *r, const char *device)
{
    char text[128];
    vitx_model *model;
    vitx_context *c;
    vitx_map *map;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_explain_opts o = r->opts;
    vitx_image *image = picture(subject, "picture");
    vitx_image *other = r->with_picture ? picture(subject, "baseline") : NULL;
    o.baseline = other;
    co.device = device;
    co.threads = strcmp(device, "cpu") == 0 ? 2 : 1;
    if (field(text, sizeof text, subject, "fit"))
        co.fit = VITX_FIT_SQUASH;
    field(text, sizeof text, subject, "model");
    ck_ok(vitx_model_open(&model, place(text), NULL));
    ck_ok(vitx_context_create(&c, model, &co));
    const int status = vitx_explain(&map, c, image, &o);
    ck_assert_msg(status == VITX_OK, "%s: %s", vitx_status_name(status), vitx_last_error());
    vitx_image_free(image);
    vitx_image_free(other);
    vitx_context_free(c);
    vitx_model_free(model);
    return map;
}

static void check_case(const char *subject, const char *line, const char *device)
{
    char text[128], path[192], name[200];
    request r;
    snprintf(name, sizeof name, "%.*s on %s", (int)strcspn(line, " "), line, device);
    if (talkative)
        printf("%s: ", name);
    fflush(stdout); /* a crash below should not take the name with it */
    read_request(&r, line);
    vitx_map *map = explain(subject, &r, device);
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, map));
    field(text, sizeof text, subject, "file");
    snprintf(path, sizeof path, "methods/%.127s", text);
    npy all = read_npy(golden_path(path));
    const size_t offset = (size_t)number(line, "offset");
    size_t count = 1;
    for (int i = 0; i < 4; i++)
        count *= (size_t)info.shape[i];
    ck_assert(offset + count <= all.count);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += all.data[offset + i];
    check_info(&info, &r, line, sum);
    const double error = max_error_f32(vitx_map_values(map), all.data + offset, count);
    field(text, sizeof text, line, "tolerance");
    const double allowed = strcmp(text, "wide") == 0 ? TOL_MAP_WIDE : TOL_MAP;
    if (talkative)
        printf("%.1e\n", error);
    field(text, sizeof text, line, "float32");
    ck_assert_msg(error < allowed, "%s: error %.1e, %g is allowed (PyTorch's float32: %s)", name,
                  error, allowed, text);
    vitx_map_free(map);
    free_npy(&all);
}

START_TEST(test_methods__match_their_libraries)
{
    check_case(cases[_i].subject, cases[_i].line, "cpu");
}
END_TEST

/* The same through a device whose memory the host cannot read. */
START_TEST(test_methods__match_their_libraries_on_ref)
{
    check_case(cases[_i].subject, cases[_i].line, "ref");
}
END_TEST

/* What is random has properties, but no golden numbers. */
static const char *const random_methods[] = {"rise", "lime"};

START_TEST(test_methods__each_has_a_case)
{
    vitx_method_info info = VITX_METHOD_INFO_INIT;
    for (int m = 0; m < vitx_method_count(); m++) {
        ck_ok(vitx_method_get(&info, m));
        bool found = false;
        for (size_t i = 0; i < sizeof random_methods / sizeof random_methods[0]; i++)
            found = found || strcmp(info.name, random_methods[i]) == 0;
        for (int i = 0; i < case_count && !found; i++) {
            const char *method = strchr(cases[i].line, '/') + 1;
            found = strcspn(method, ", ") == strlen(info.name) &&
                    strncmp(method, info.name, strlen(info.name)) == 0;
        }
        ck_assert_msg(found, "method %s has no case in test/golden/methods/cases.txt", info.name);
    }
}
END_TEST

static Suite *methods_suite(void)
{
    Suite *suite = suite_create("methods");
    TCase *tcase = tcase_create("methods");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, test_methods__match_their_libraries, 0, case_count);
    tcase_add_loop_test(tcase, test_methods__match_their_libraries_on_ref, 0, tiny_count);
    if (!talkative)
        tcase_add_test(tcase, test_methods__each_has_a_case);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(int argc, char **argv)
{
    const bool list = argc > 1 && strcmp(argv[1], "--list") == 0;
    const int first = list ? 2 : 1;
    talkative = argc > first;
    find_cases(argv + first, argc - first);
    for (int i = 0; i < case_count && list; i++)
        printf("%.*s\n", (int)strcspn(cases[i].line, " "), cases[i].line);
    if (case_count == 0)
        printf("no case of test/golden/methods/cases.txt has such a name\n");
    return list || case_count == 0 ? case_count == 0 : run_suite(methods_suite());
}
