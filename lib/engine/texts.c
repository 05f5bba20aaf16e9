/* engine/texts.c: see texts.h. */
#include "engine/texts.h"

#include <stdlib.h>
#include <string.h>

#include "engine/pass.h"
#include "engine/run.h"
#include "engine/size.h"

void vx_texts_begin(vitx_context *c, int64_t done, int64_t all)
{
    vx_context_begin(c, all * c->arch.depth);
    c->progress_done = done * c->arch.depth;
}

/* A text as it was given. */
typedef struct text {
    const int *ids;
    int length, number;
} text;

/* The texts of a call in their order, and the batch at hand. */
typedef struct texts {
    vitx_context *c;
    text *list; /* [n] */
    int n;
    int *starts, *lasts;  /* [S+1], [S]: as in vx_pass */
    vx_prefixes prefixes; /* of the batch; its arrays have room for all rows of the context */
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

/* Rows that the context has room for. */
static int most_rows(const vitx_context *c)
{
    return c->max_batch * c->max_tokens;
}

static text text_of(const int *ids, const int *starts, int number)
{
    return (text){ids + starts[number], starts[number + 1] - starts[number], number};
}

static int read_texts(texts *t, const int *ids, const int *starts, const int *order)
{
    for (int i = 0; i < t->n; i++) {
        const text x = text_of(ids, starts, order ? order[i] : i);
        if (x.length < 1 || x.length > t->c->max_tokens)
            return vx_fail(VITX_INVALID, "text %d has %d tokens: 1 to %d are accepted", x.number,
                           x.length, t->c->max_tokens);
        t->list[i] = x;
    }
    return VITX_OK;
}

/* How many tokens two texts have in common at their beginnings. */
static int common(const text *a, const text *b)
{
    int n = 0;
    while (n < a->length && n < b->length && a->ids[n] == b->ids[n])
        n++;
    return n;
}

/* Texts that begin alike come one behind the other; equal ones as they were given. */
static int compare(const void *x, const void *y)
{
    const text *a = x, *b = y;
    const int n = common(a, b);
    if (n < a->length && n < b->length)
        return a->ids[n] < b->ids[n] ? -1 : 1;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

int vx_texts_sort(int *order, const vitx_hooks *hooks, const int *ids, const int *starts, int n)
{
    text *list;
    VX_TRY(vx_new(&list, hooks, (size_t)n, sizeof *list, "the texts' order"));
    for (int i = 0; i < n; i++)
        list[i] = text_of(ids, starts, i);
    qsort(list, (size_t)n, sizeof *list, compare);
    for (int i = 0; i < n; i++)
        order[i] = list[i].number;
    vx_release(hooks, list);
    return VITX_OK;
}

/* Whether what the tower makes of a text's beginning is the same in all texts. */
static bool begins_alike(const vx_arch *a)
{
    return a->causal && a->pool == VX_POOL_LAST && !a->parallel;
}

/* How many of the texts, from number `at` on, run together, each with rows of its own. */
static int count_apart(const texts *t, int at)
{
    int count = 0, rows = 0;
    while (at + count < t->n && count < vx_context_sequences(t->c)) {
        rows += t->list[at + count].length;
        if (rows > most_rows(t->c) && count > 0)
            break;
        count++;
    }
    return count;
}

/* The same with common rows, beside which there has to be room for the texts whole. 0: they do not
 * save enough to be worth it. */
static int count_common(const texts *t, int at)
{
    int count = 0, rows = 0, whole = 0;
    while (at + count < t->n && count < vx_context_sequences(t->c)) {
        const text *x = &t->list[at + count];
        const int own = x->length - (count > 0 ? common(x - 1, x) : 0);
        if (rows + own + whole + x->length > most_rows(t->c))
            break;
        rows += own;
        whole += x->length;
        count++;
    }
    return 4 * rows <= 3 * whole ? count : 0;
}

static int count_batch(bool *shared, const texts *t, int at)
{
    const int count = begins_alike(&t->c->arch) ? count_common(t, at) : 0;
    *shared = count > 0;
    return *shared ? count : count_apart(t, at);
}

/* The input of tokens first..n-1 of a text. */
static int write_rows(float *to, const vitx_context *c, const int *ids, int first, int n)
{
    for (int i = first; i < n; i++, to += c->arch.width)
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

/* Puts text number i of a batch behind those before, with the first `known` rows of the last. */
static int put_text(texts *t, const text *x, int i, int known)
{
    const vitx_context *c = t->c;
    vx_prefixes *p = &t->prefixes;
    const int first = t->starts[i];
    VX_TRY(write_rows(c->act.host.input + (size_t)p->rows * (size_t)c->arch.width, c, x->ids, known,
                      x->length));
    for (int j = 0; j < known; j++)
        p->row_of[first + j] = p->row_of[t->starts[i - 1] + j];
    for (int j = known; j < x->length; j++) {
        p->token_of[p->rows] = first + j;
        p->row_of[first + j] = p->rows++;
    }
    t->starts[i + 1] = first + x->length;
    t->lasts[i] = t->starts[i + 1] - 1;
    p->lasts[i] = p->row_of[t->lasts[i]];
    return VITX_OK;
}

static int run_batch(texts *t, int at, int count, bool shared)
{
    vitx_context *c = t->c;
    const size_t k = (size_t)c->arch.classes;
    const text *x = t->list + at;
    t->starts[0] = t->prefixes.rows = 0;
    for (int i = 0; i < count; i++)
        VX_TRY(put_text(t, x + i, i, shared && i > 0 ? common(x + i - 1, x + i) : 0));
    upload_rows(c, t->prefixes.rows);
    const vx_pass pass = {.act = &c->act,
                          .batch = count,
                          .starts = t->starts,
                          .lasts = c->arch.pool == VX_POOL_LAST ? t->lasts : NULL,
                          .prefixes = shared ? &t->prefixes : NULL,
                          .ticks = count};
    VX_TRY(vx_pass_forward(c, &pass));
    VX_TRY(vx_context_answers(c, &c->act, count));
    for (int i = 0; i < count; i++)
        memcpy(t->out + (size_t)x[i].number * k, c->act.host.logits + (size_t)i * k,
               k * sizeof *t->out);
    return VITX_OK;
}

static int run_all(texts *t)
{
    vitx_context *c = t->c;
    bool shared;
    VX_TRY(vx_context_begin_run(c, NULL, 1));
    for (int at = 0, count; at < t->n; at += count) {
        count = count_batch(&shared, t, at);
        VX_TRY(run_batch(t, at, count, shared));
    }
    return VITX_OK;
}

/* The arrays of a call, of which *memory is to be released. */
static int reserve(texts *t, int **memory)
{
    const vitx_context *c = t->c;
    const size_t sequences = (size_t)vx_context_sequences(c), rows = (size_t)most_rows(c);
    VX_TRY(vx_new(&t->list, &c->hooks, (size_t)t->n, sizeof *t->list, "texts"));
    VX_TRY(vx_new(memory, &c->hooks, 3 * sequences + 1 + 2 * rows, sizeof **memory,
                  "places of texts"));
    t->lasts = *memory;
    t->prefixes.lasts = t->lasts + sequences;
    t->starts = t->prefixes.lasts + sequences;
    t->prefixes.row_of = t->starts + sequences + 1;
    t->prefixes.token_of = t->prefixes.row_of + rows;
    return VITX_OK;
}

int vx_texts_run(float *out, vitx_context *c, const int *ids, const int *starts, const int *order,
                 int n)
{
    texts t = {.c = c, .n = n, .out = out};
    int *memory = NULL;
    if (n < 1)
        return vx_fail(VITX_INVALID, "%d texts: at least one is needed", n);
    VX_TRY(vx_size_take_tokens(c, c->max_tokens));
    int status = reserve(&t, &memory);
    if (status == VITX_OK)
        status = read_texts(&t, ids, starts, order);
    if (status == VITX_OK)
        status = run_all(&t);
    vx_release(&c->hooks, t.list);
    vx_release(&c->hooks, memory);
    return status;
}

int vx_texts_run_one(vitx_context *c, const int *ids, int n, vx_plan *plan)
{
    VX_TRY(vx_size_take_tokens(c, n));
    VX_TRY(vx_context_begin_run(c, plan, 1));
    VX_TRY(write_rows(c->act.host.input, c, ids, 0, n));
    upload_rows(c, n);
    VX_TRY(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = plan, .batch = 1}));
    return vx_context_answers(c, &c->act, 1);
}
