/*
 * texts.c: many texts through a text tower, for tools/bench/texts.py, which times PyTorch beside
 * it.
 *
 *     build/texts MODEL IDS OUT [THREADS [ROUNDS]]
 *
 * IDS: a text a line, its token ids. OUT gets their embeddings, f32. Prints the seconds of each
 * round, and of processor time. Built by `make build/texts`; links what the library hides.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vitx/vitx.h>

#include "engine/texts.h"
#include "model/model.h"

typedef struct texts {
    int n, *ids, *starts, room;
} texts;

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "texts: %s: %s\n", what, why);
    return 1;
}

/* A text a line. @return 0 */
static int read_texts(texts *t, FILE *f)
{
    size_t room = 0, count = 0, texts = 0;
    char *line = NULL;
    for (size_t bytes = 0; getline(&line, &bytes, f) > 0; texts++) {
        t->starts = realloc(t->starts, (texts + 2) * sizeof *t->starts);
        t->starts[texts] = (int)count;
        char *next = line, *end;
        for (long id = strtol(next, &end, 10); end != next; id = strtol(next, &end, 10)) {
            if (count == room) {
                room = 2 * room + 1024;
                t->ids = realloc(t->ids, room * sizeof *t->ids);
            }
            t->ids[count++] = (int)id;
            next = end;
        }
        t->starts[texts + 1] = (int)count;
    }
    free(line);
    t->n = (int)texts;
    return texts == 0;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int run(vitx_context *c, const texts *t, float *out, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (vx_texts_run(out, c, t->ids, t->starts, t->n) != VITX_OK)
            return fail("running", vitx_last_error());
        printf("%.6f %.6f\n", seconds(CLOCK_MONOTONIC) - wall,
               seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    texts t = {0};
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    FILE *f = argc > 3 ? fopen(argv[2], "r") : NULL;
    if (!f || read_texts(&t, f))
        return fail("usage", "texts MODEL IDS OUT [THREADS [ROUNDS]]");
    fclose(f);
    opts.device = "cpu";
    opts.threads = argc > 4 ? atoi(argv[4]) : 2;
    if (vx_text_open(&model, argv[1], NULL) != VITX_OK ||
        vx_texts_create(&c, model, &opts) != VITX_OK)
        return fail(argv[1], vitx_last_error());
    const size_t count = (size_t)t.n * (size_t)model->arch.classes;
    float *out = calloc(count, sizeof *out);
    const int failed = run(c, &t, out, argc > 5 ? atoi(argv[5]) : 1);
    f = failed ? NULL : fopen(argv[3], "wb");
    if (f && fwrite(out, sizeof *out, count, f) != count)
        return fail(argv[3], "not written");
    if (f)
        fclose(f);
    free(out);
    free(t.ids);
    free(t.starts);
    vitx_context_free(c);
    vitx_model_free(model);
    return failed;
}
