/*
 * explain/words.c: which words of a text carry its match with a picture.
 *
 * The score is the cosine of the text's vector with the picture's, so its gradient is taken in the
 * text tower. With x_i the row of token i (table and position) and A_l the attention of block l:
 *
 *     gradient    r_i = sum over the width of x_i * d score / d x_i; where a norm follows the table
 *                 (BERT), x_i is what that makes of the row: before it the sum is always 0
 *     relevance   Abar_l = mean_h max(A_l d score / d A_l, 0);  R = I;  R += Abar_l R, first block
 *                 first;  r_i = R[row, i], row being the one that becomes the vector
 *
 * Chefer's notebook follows the last block alone and divides by the sum over the words; here all
 * blocks are followed, as in the picture tower (generic.c), and nothing is divided.
 */
#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "base/text.h"
#include "engine/pass.h"
#include "engine/run.h"
#include "explain/score.h"
#include "explain/similarity.h"
#include "words/segments.h"
#include "words/words.h"

/* Every byte may be a word. */
#define MAX_TEXT ((size_t)1 << 20)

struct vitx_words {
    vitx_hooks hooks;
    vitx_words_info info; /* text lies behind the struct */
    vitx_word *list;
};

void vitx_words_opts_init(vitx_words_opts *out, size_t struct_size)
{
    const vitx_words_opts full = VITX_WORDS_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_words_info_init(vitx_words_info *out, size_t struct_size)
{
    const vitx_words_info full = VITX_WORDS_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

enum { GRADIENT = 0, RELEVANCE };

static const char *method_name(int index)
{
    static const char *const names[] = {"gradient", "relevance"};
    return index >= 0 && index < 2 ? names[index] : NULL;
}

/* A text on its way through the tower. */
typedef struct reading {
    vitx_texts *texts;
    vitx_context *context; /* the text tower's */
    const float *picture;  /* [K] the vector that the text's is compared with, of length 1 */
    int method;
    vx_tokens tokens;
    int rows; /* tokens that are run */
    int *ids; /* [rows] */
    int *of;  /* [tokens] the word of each */
    float *r; /* [rows] what each carried */
    vx_plan plan;
    double value;
} reading;

/* -------------------------------------------------------------------------- the passes ---- */

static void plan_needs(reading *s)
{
    vx_plan *plan = &s->plan;
    plan->targets = 1;
    if (s->method == GRADIENT && s->context->arch.norm_stays) {
        vx_plan_need_tokens(plan, 0, VX_AT_NORM1);
        vx_plan_need_dtokens(plan, 0, VX_AT_NORM1);
    } else if (s->method == GRADIENT)
        plan->pixels = true;
    else
        vx_plan_need_dattention(plan, 0, plan->depth - 1, VX_DKEEP_PRODUCT, VX_PRODUCT_RELU_MEAN);
}

/* Forward and backward. */
static int run_passes(reading *s)
{
    vitx_context *c = s->context;
    const int units = c->arch.classes;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const vx_target target = {.score = VITX_SCORE_COSINE, .vector = s->picture, .count = units};
    float *cotangent;
    VX_TRY(vx_texts_run_one(c, s->ids, s->rows, &s->plan));
    s->value = vx_target_value(target, c->act.host.logits, NULL);
    VX_TRY(vx_new(&cotangent, &scratch, (size_t)units, sizeof *cotangent, "a gradient"));
    vx_target_cotangent(cotangent, target, c->act.host.logits, NULL, units);
    c->dev->cls->upload(c->dev, s->plan.dlogits, cotangent, (size_t)units * sizeof *cotangent);
    const int status = vx_context_settle(
        c, vx_pass_backward(c, &(vx_pass){.act = &c->act, .plan = &s->plan, .batch = 1}));
    vx_release(&scratch, cotangent);
    return status;
}

/* The rows x and their gradients g, [rows,D] each. */
static int read_rows(float *x, float *g, const reading *s)
{
    const size_t width = (size_t)s->context->arch.width, count = (size_t)s->rows * width;
    const vx_block_plan *first = &s->plan.blocks[0];
    if (s->context->arch.norm_stays) {
        VX_TRY(vx_context_read(s->context, x, first->tokens[VX_AT_NORM1], count * sizeof *x));
        return vx_context_read(s->context, g, first->dtokens[VX_AT_NORM1], count * sizeof *g);
    }
    for (int i = 0; i < s->rows; i++)
        VX_TRY(vx_text_row(x + (size_t)i * width, s->texts->model, s->ids[i], i));
    return vx_context_read(s->context, g, s->plan.dinput, count * sizeof *g);
}

/* r_i = x_i . d score / d x_i */
static int read_gradient(reading *s)
{
    const size_t width = (size_t)s->context->arch.width, rows = (size_t)s->rows;
    const vitx_hooks *hooks = &s->texts->hooks;
    float *x;
    VX_TRY(vx_new(&x, hooks, 2 * rows * width, sizeof *x, "gradients of words"));
    float *const g = x + rows * width;
    const int status = read_rows(x, g, s);
    for (size_t i = 0; i < rows && status == VITX_OK; i++) {
        double sum = 0;
        for (size_t k = 0; k < width; k++)
            sum += (double)x[i * width + k] * g[i * width + k];
        s->r[i] = (float)sum;
    }
    vx_release(hooks, x);
    return status;
}

/* r = e_row (I + Abar_L-1) .. (I + Abar_0) */
static int read_relevance(reading *s)
{
    const size_t rows = (size_t)s->rows;
    const vitx_hooks *hooks = &s->texts->hooks;
    float *matrix; /* [rows,rows] of a block, [rows] what r becomes */
    VX_TRY(vx_new(&matrix, hooks, rows * rows + rows, sizeof *matrix, "relevance of words"));
    float *const next = matrix + rows * rows;
    int status = VITX_OK;
    s->r[s->context->arch.pool == VX_POOL_LAST ? rows - 1 : 0] = 1;
    for (int l = s->plan.depth - 1; l >= 0 && status == VITX_OK; l--) {
        status = vx_context_read(s->context, matrix, s->plan.blocks[l].dattention,
                                 rows * rows * sizeof *matrix);
        memcpy(next, s->r, rows * sizeof *next);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < rows; j++)
                next[j] += s->r[i] * matrix[i * rows + j];
        memcpy(s->r, next, rows * sizeof *next);
    }
    vx_release(hooks, matrix);
    return status;
}

/* -------------------------------------------------------------------------- a reading ----- */

static int take_ids(reading *s, const char *text, bool *cut)
{
    const vitx_hooks *hooks = &s->texts->hooks;
    VX_TRY(vx_words_tokens(&s->tokens, &s->rows, cut, s->texts, text));
    const size_t rows = (size_t)s->rows;
    VX_TRY(vx_new(&s->ids, hooks, rows, sizeof *s->ids, "ids of words"));
    VX_TRY(vx_new(&s->of, hooks, rows, sizeof *s->of, "places of words"));
    VX_TRY(vx_new(&s->r, hooks, rows, sizeof *s->r, "relevance of words"));
    vx_words_ids(s->ids, s->rows, s->texts, s->tokens.at, s->tokens.count);
    return VITX_OK;
}

static int run_tower(reading *s)
{
    vitx_context *c = s->context;
    VX_TRY(vx_context_enter(c));
    int status = vx_plan_create(&s->plan, &c->arch, &c->hooks);
    if (status == VITX_OK) {
        plan_needs(s);
        status = run_passes(s);
    }
    if (status == VITX_OK)
        status = s->method == GRADIENT ? read_gradient(s) : read_relevance(s);
    vx_plan_dispose(&s->plan, &c->hooks);
    return vx_context_leave(c, status);
}

/* Adds up what the tokens carried. */
static int add_up(vitx_words *w, reading *s)
{
    VX_TRY(vx_segments(&w->list, &w->info.count, s->of, w->info.text, s->tokens.at, s->tokens.count,
                       &w->hooks));
    w->info.words = w->list;
    for (int i = 0; i < s->rows; i++) {
        const int word = i < s->tokens.count ? s->of[i] : -1;
        if (word >= 0)
            w->list[word].relevance += s->r[i];
        else
            w->info.added += (double)s->r[i];
    }
    return VITX_OK;
}

static int read_words(vitx_words *w, reading *s)
{
    bool cut;
    pthread_mutex_lock(&s->texts->lock);
    int status = take_ids(s, w->info.text, &cut);
    if (status == VITX_OK)
        status = run_tower(s);
    pthread_mutex_unlock(&s->texts->lock);
    if (status == VITX_OK)
        status = add_up(w, s);
    w->info.cut = status == VITX_OK && cut;
    w->info.value = s->value;
    vx_tokens_free(&s->tokens);
    vx_release(&w->hooks, s->ids);
    vx_release(&w->hooks, s->of);
    vx_release(&w->hooks, s->r);
    return status;
}

/* The picture's vector, of length 1. */
static int picture_vector(float *out, const vitx_texts *texts, vitx_context *context,
                          const vitx_image *image, const vitx_words_opts *o)
{
    const int units = vx_words_units(texts);
    if (!o->vector)
        return vitx_embed(context, image, out, 1);
    for (int k = 0; k < units; k++)
        if (!isfinite(o->vector[k]))
            return vx_fail(VITX_INVALID, "number %d of the picture's vector is not finite", k);
    memcpy(out, o->vector, (size_t)units * sizeof *out);
    return vx_make_unit(out, units)
               ? VITX_OK
               : vx_fail(VITX_INVALID, "the picture's vector is 0 and has no direction");
}

static int compare(vitx_words *w, vitx_texts *texts, vitx_context *context, const vitx_image *image,
                   const vitx_words_opts *o, int method)
{
    float *picture;
    VX_TRY(vx_new(&picture, &w->hooks, (size_t)vx_words_units(texts), sizeof *picture,
                  "a picture's vector"));
    reading s = {.texts = texts, .context = texts->context, .picture = picture, .method = method};
    int status = picture_vector(picture, texts, context, image, o);
    if (status == VITX_OK)
        status = vx_similarity_of_text(&w->info.empty_value, texts, "", picture);
    if (status == VITX_OK)
        status = read_words(w, &s);
    vx_release(&w->hooks, picture);
    return status;
}

static int create(vitx_words **out, const vitx_texts *texts, const char *text, const char *method)
{
    const size_t length = strlen(text) + 1;
    if (length > MAX_TEXT)
        return vx_fail(VITX_INVALID, "a text of %zu bytes; words are shown of at most %zu",
                       length - 1, MAX_TEXT);
    VX_TRY(vx_new(out, &texts->hooks, 1, sizeof **out + length, "words"));
    (*out)->hooks = texts->hooks;
    (*out)->info = (vitx_words_info){.struct_size = sizeof(vitx_words_info), .method = method};
    (*out)->info.text = memcpy(*out + 1, text, length);
    return VITX_OK;
}

int vitx_explain_words(vitx_words **out, vitx_texts *texts, vitx_context *context,
                       const vitx_image *image, const vitx_words_opts *opts)
{
    vitx_words_opts o = VITX_WORDS_OPTS_INIT;
    int method = GRADIENT;
    if (out)
        *out = NULL;
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_words_opts, vector));
    if (!out || !texts || (!o.vector && (!context || !image)))
        return vx_fail(VITX_INVALID, "vitx_explain_words: an argument is NULL");
    if (!o.text)
        return vx_fail(VITX_INVALID, "vitx_explain_words: no text is given");
    if (o.method)
        VX_TRY(vx_find_name(&method, o.method, method_name, "way to explain words"));
    if (!o.vector && (!context->arch.units || context->arch.classes != vx_words_units(texts)))
        return vx_fail(VITX_INVALID,
                       "the texts' vectors have %d numbers, the model's outputs are %d",
                       vx_words_units(texts), context->arch.classes);
    vitx_words *w;
    VX_TRY(create(&w, texts, o.text, method_name(method)));
    const int status = compare(w, texts, context, image, &o, method);
    if (status != VITX_OK) {
        vitx_words_free(w);
        return status;
    }
    *out = w;
    return VITX_OK;
}

void vitx_words_free(vitx_words *words)
{
    if (!words)
        return;
    const vitx_hooks hooks = words->hooks;
    vx_release(&hooks, words->list);
    vx_release(&hooks, words);
}

int vitx_words_get_info(vitx_words_info *out, const vitx_words *words)
{
    if (!out || !words)
        return vx_fail(VITX_INVALID, "vitx_words_get_info: an argument is NULL");
    return VX_STRUCT_WRITE(out, &words->info, vitx_words_info, added);
}
