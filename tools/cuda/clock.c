/*
 * clock: how long vitx takes on a device, without preparing pictures.
 *
 *      clock MODEL DEVICE PRECISION BATCH SECONDS [row|fused|all]
 *
 * One line of JSON: the median of a forward pass of a batch of inputs that are already normalised,
 * and how far its logits are from the device cpu in f32, for two of the inputs at most, as the cpu
 * is slow. With a sixth word the forward pass records attention.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vitx/vitx.h>

enum { RUNS = 4096, COMPARED = 2 };

typedef struct inputs {
    float *data;
    int batch, height, width;
    size_t each;
} inputs;

static void fail(const char *what)
{
    fprintf(stderr, "clock: %s: %s\n", what, vitx_last_error());
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The same numbers for every device. */
static inputs make_inputs(int batch, const vitx_context_info *info)
{
    inputs in = {.batch = batch, .height = info->input_height, .width = info->input_width};
    uint32_t state = 1;
    in.each = 3 * (size_t)in.height * (size_t)in.width;
    in.data = malloc((size_t)batch * in.each * sizeof *in.data);
    if (!in.data)
        fail("memory for the inputs");
    for (size_t i = 0; i < (size_t)batch * in.each; i++) {
        state = state * 1664525u + 1013904223u;
        in.data[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
    }
    return in;
}

static vitx_context *open_context(vitx_model *model, const char *device, const char *precision,
                                  int batch)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = device;
    o.precision = precision;
    o.max_batch = batch;
    o.trace_budget = (size_t)32 << 30;
    if (vitx_context_create(&c, model, &o) != VITX_OK)
        fail(device);
    return c;
}

static void record(vitx_context *c, const char *what)
{
    static const char *const words[] = {"none", "row", "fused", "all"};
    vitx_trace_opts t = VITX_TRACE_OPTS_INIT;
    for (int i = 0; i < 4; i++)
        if (strcmp(words[i], what) == 0)
            t.record = (vitx_record)i;
    if (t.record == VITX_RECORD_NONE || vitx_context_set_trace(c, &t) != VITX_OK)
        fail(what);
}

static void forward(vitx_context *c, const inputs *in)
{
    if (vitx_forward_inputs(c, in->data, in->batch, in->height, in->width) != VITX_OK)
        fail("forward");
}

/* Median milliseconds. */
static double time_forward(vitx_context *c, const inputs *in, double seconds, int *runs)
{
    static double times[RUNS];
    for (int i = 0; i < 5; i++)
        forward(c, in);
    const double end = now() + seconds;
    for (*runs = 0; *runs < RUNS && (*runs < 5 || now() < end); ++*runs) {
        const double start = now();
        forward(c, in);
        times[*runs] = 1e3 * (now() - start);
    }
    qsort(times, (size_t)*runs, sizeof *times, by_size);
    return times[*runs / 2];
}

/* The largest difference of logits over the largest logit. */
static double difference(vitx_context *c, vitx_model *model, inputs in)
{
    vitx_view found, expected;
    if (in.batch > COMPARED)
        in.batch = COMPARED;
    vitx_context *cpu = open_context(model, "cpu", "f32", in.batch);
    forward(c, &in);
    forward(cpu, &in);
    if (vitx_logits(&found, c) != VITX_OK || vitx_logits(&expected, cpu) != VITX_OK)
        fail("logits");
    double most = 0, largest = 0;
    for (int64_t i = 0; i < expected.shape[0] * expected.shape[1]; i++) {
        const double x = ((const float *)expected.data)[i];
        most = fmax(most, fabs((double)((const float *)found.data)[i] - x));
        largest = fmax(largest, fabs(x));
    }
    vitx_context_free(cpu);
    return most / largest;
}

int main(int argc, char **argv)
{
    vitx_model *model;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    if (argc < 6 || argc > 7 || atoi(argv[4]) < 1) {
        fprintf(stderr, "usage: clock MODEL DEVICE PRECISION BATCH SECONDS [row|fused|all]\n");
        return 1;
    }
    const int batch = atoi(argv[4]);
    if (vitx_model_open(&model, argv[1], NULL) != VITX_OK)
        fail(argv[1]);
    vitx_context *c = open_context(model, argv[2], argv[3], batch);
    if (vitx_context_get_info(&info, c) != VITX_OK)
        fail("context");
    const inputs in = make_inputs(batch, &info);
    const double off = difference(c, model, in);
    if (argc == 7)
        record(c, argv[6]);
    int runs;
    const double ms = time_forward(c, &in, atof(argv[5]), &runs);
    printf("{\"what\":\"forward%s%s\",\"device\":\"%s\",\"precision\":\"%s\",\"batch\":%d,"
           "\"median_ms\":%.4f,\"runs\":%d,\"logits_off\":%.2e}\n",
           argc == 7 ? "+" : "", argc == 7 ? argv[6] : "", argv[2], argv[3], batch, ms, runs, off);
    vitx_context_free(c);
    vitx_model_free(model);
    free(in.data);
    return 0;
}
