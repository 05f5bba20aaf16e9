/*
 * texts.c: many texts through a text tower, for tools/bench/texts.py, which times PyTorch beside
 * it.
 *
 *     build/texts MODEL TEXTS OUT [THREADS [ROUNDS]]
 *
 * TEXTS: a text a line. OUT gets their vectors, f32. Prints the seconds of each round, and of
 * processor time. Built by `make build/texts`.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vitx/vitx.h>

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "texts: %s: %s\n", what, why);
    return 1;
}

/* The lines of a file. @return how many */
static int read_lines(char ***list, FILE *f)
{
    char *line = NULL;
    int n = 0;
    for (size_t bytes = 0; getline(&line, &bytes, f) > 0; n++) {
        *list = realloc(*list, ((size_t)n + 1) * sizeof **list);
        line[strcspn(line, "\n")] = '\0';
        (*list)[n] = strdup(line);
    }
    free(line);
    return n;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int run(vitx_texts *texts, char **list, int n, float *out, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (vitx_texts_embed(out, texts, (const char *const *)list, n, 0) != VITX_OK)
            return fail("running", vitx_last_error());
        printf("%.6f %.6f\n", seconds(CLOCK_MONOTONIC) - wall,
               seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
        fflush(stdout);
    }
    return 0;
}

static int open_tower(vitx_texts **texts, vitx_texts_info *info, const char *path, int threads)
{
    vitx_model *model;
    vitx_context_opts context = VITX_CONTEXT_OPTS_INIT;
    vitx_texts_opts opts = VITX_TEXTS_OPTS_INIT;
    context.threads = threads;
    opts.context = &context;
    if (vitx_model_open(&model, path, NULL) != VITX_OK)
        return fail(path, vitx_last_error());
    const int status = vitx_texts_create(texts, model, &opts);
    vitx_model_free(model);
    if (status != VITX_OK)
        return fail(path, vitx_last_error());
    return vitx_texts_get_info(info, *texts) != VITX_OK;
}

int main(int argc, char **argv)
{
    char **list = NULL;
    vitx_texts *texts;
    vitx_texts_info info = VITX_TEXTS_INFO_INIT;
    FILE *f = argc > 3 ? fopen(argv[2], "r") : NULL;
    const int n = f ? read_lines(&list, f) : 0;
    if (n == 0)
        return fail("usage", "texts MODEL TEXTS OUT [THREADS [ROUNDS]]");
    fclose(f);
    if (open_tower(&texts, &info, argv[1], argc > 4 ? atoi(argv[4]) : 2))
        return 1;
    const size_t count = (size_t)n * (size_t)info.units;
    float *out = calloc(count, sizeof *out);
    int failed = !out || run(texts, list, n, out, argc > 5 ? atoi(argv[5]) : 1);
    f = failed ? NULL : fopen(argv[3], "wb");
    if (!failed && (!f || fwrite(out, sizeof *out, count, f) != count || fclose(f) != 0))
        failed = fail(argv[3], "not written");
    free(out);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    vitx_texts_free(texts);
    return failed;
}
