/* engine/texts.c: see texts.h. */
#include "engine/texts.h"

#include <string.h>

#include "engine/pass.h"
#include "engine/run.h"
#include "engine/size.h"

/* Texts, shortest first, and the batch at hand. */
typedef struct texts {
    vitx_context *c;
    const int *ids, *starts; /* as they were given */
    int n;
    int *order;       /* [n] */
    int *rows, *last; /* [S+1], [S]: vx_pass.starts, lasts */
    float *out;
} texts;

int vx_texts_create(vitx_context **out, vx_text_model *model, const vitx_context_opts *opts)
{
    if (out)
        *out = NULL;
    if (!out || !model)
        return vx_fail(VITX_INVALID, "vx_texts_create: an argument is NULL");
    if (!model->arch.vocabulary)
        return vx_fail_in(VITX_INVALID, model->path, "was not opened as a text tower");
    return vitx_context_create(out, model, opts);
}

static int length_of(const texts *t, int text)
{
    return t->starts[text + 1] - t->starts[text];
}

static int check_lengths(const texts *t)
{
    for (int i = 0; i < t->n; i++)
        if (length_of(t, i) < 1 || length_of(t, i) > t->c->max_tokens)
            return vx_fail(VITX_INVALID, "text %d has %d tokens: 1 to %d are accepted", i,
                           length_of(t, i), t->c->max_tokens);
    return VITX_OK;
}

/* By counting; texts of one length keep their order. places: [max_tokens+2], all 0. */
static void sort(texts *t, int *places)
{
    for (int i = 0; i < t->n; i++)
        places[length_of(t, i) + 1]++;
    for (int length = 1; length <= t->c->max_tokens; length++)
        places[length + 1] += places[length];
    for (int i = 0; i < t->n; i++)
        t->order[places[length_of(t, i)]++] = i;
}

/* How many of the sorted texts, from number `at` on, run together. */
static int count_batch(const texts *t, int at)
{
    const int most = t->c->max_batch * t->c->max_tokens;
    int count = 0, rows = 0;
    while (at + count < t->n && count < vx_context_sequences(t->c)) {
        rows += length_of(t, t->order[at + count]);
        if (rows > most && count > 0)
            break;
        count++;
    }
    return count;
}

/* The input of n tokens. */
static int write_rows(float *to, const vitx_context *c, const int *ids, int n)
{
    for (int i = 0; i < n; i++, to += c->arch.width)
        VX_TRY(vx_text_row(to, c->model, ids[i], i));
    return VITX_OK;
}

static void upload_rows(vitx_context *c, int rows)
{
    const vx_activations *act = &c->act;
    if (act->host.input != act->input)
        c->dev->cls->upload(c->dev, act->input, act->host.input,
                            (size_t)rows * (size_t)c->arch.width * sizeof(float));
}

static int run_batch(texts *t, int at, int count)
{
    vitx_context *c = t->c;
    const size_t d = (size_t)c->arch.width, k = (size_t)c->arch.classes;
    t->rows[0] = 0;
    for (int i = 0; i < count; i++) {
        const int text = t->order[at + i], n = length_of(t, text);
        VX_TRY(
            write_rows(c->act.host.input + (size_t)t->rows[i] * d, c, t->ids + t->starts[text], n));
        t->rows[i + 1] = t->rows[i] + n;
        t->last[i] = t->rows[i + 1] - 1;
    }
    upload_rows(c, t->rows[count]);
    const vx_pass pass = {.act = &c->act,
                          .batch = count,
                          .starts = t->rows,
                          .lasts = c->arch.pool == VX_POOL_LAST ? t->last : NULL};
    VX_TRY(vx_pass_forward(c, &pass));
    VX_TRY(vx_context_answers(c, &c->act, count));
    for (int i = 0; i < count; i++)
        memcpy(t->out + (size_t)t->order[at + i] * k, c->act.host.logits + (size_t)i * k,
               k * sizeof *t->out);
    return VITX_OK;
}

static int run_all(texts *t)
{
    vitx_context *c = t->c;
    int64_t batches = 0;
    for (int at = 0; at < t->n; at += count_batch(t, at))
        batches++;
    VX_TRY(vx_context_begin_run(c, NULL, 1));
    vx_context_begin(c, batches * c->arch.depth);
    for (int at = 0, count; at < t->n; at += count) {
        count = count_batch(t, at);
        VX_TRY(run_batch(t, at, count));
    }
    return VITX_OK;
}

int vx_texts_run(float *out, vitx_context *c, const int *ids, const int *starts, int n)
{
    texts t = {.c = c, .ids = ids, .starts = starts, .n = n, .out = out};
    if (n < 1)
        return vx_fail(VITX_INVALID, "%d texts: at least one is needed", n);
    VX_TRY(check_lengths(&t));
    VX_TRY(vx_size_take_tokens(c, c->max_tokens));
    const size_t sequences = (size_t)vx_context_sequences(c);
    VX_TRY(vx_new(&t.order, &c->hooks, (size_t)n + 2 * sequences + 1 + (size_t)c->max_tokens + 2,
                  sizeof *t.order, "the texts' order"));
    t.rows = t.order + n;
    t.last = t.rows + sequences + 1;
    sort(&t, t.last + sequences);
    const int status = run_all(&t);
    vx_release(&c->hooks, t.order);
    return status;
}

int vx_texts_run_one(vitx_context *c, const int *ids, int n, vx_plan *plan)
{
    VX_TRY(vx_size_take_tokens(c, n));
    VX_TRY(vx_context_begin_run(c, plan, 1));
    VX_TRY(write_rows(c->act.host.input, c, ids, n));
    upload_rows(c, n);
    VX_TRY(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = plan, .batch = 1}));
    return vx_context_answers(c, &c->act, 1);
}
