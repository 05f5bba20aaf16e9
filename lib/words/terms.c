/* words/terms.c: see terms.h. */
#include "words/terms.h"

/* What the files beside the weights say of the tower: the same weights give other vectors with
 * another activation, or read at another row. */
static void add_tower(vx_sha256 *hash, const vitx_texts *t)
{
    const vx_arch *a = &t->model->arch;
    const vx_text_rules *r = &t->model->text;
    const int numbers[] = {
        a->depth,      a->width,  a->heads,     a->hidden,       (int)a->act,      a->swiglu,
        (int)a->pool,  a->causal, a->post_norm, a->rms,          a->norm_stays,    a->classes,
        (int)r->where, r->end,    r->context,   vx_words_pad(t), r->first_position};
    vx_sha256_add_text(hash, r->kind);
    vx_sha256_add(hash, numbers, sizeof numbers);
    vx_sha256_add(hash, &a->eps, sizeof a->eps);
}

int vx_terms_begin(vx_sha256 *hash, const vitx_texts *t)
{
    char weights[VITX_DIGEST_TEXT];
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    VX_TRY(vitx_model_digest(weights, t->model));
    VX_TRY(vitx_context_get_info(&info, t->context));
    vx_sha256_begin(hash);
    vx_sha256_add_text(hash, weights);
    add_tower(hash, t);
    vx_sha256_add_text(hash, info.device);
    vx_sha256_add_text(hash, info.precision);
    return VITX_OK;
}

/* A text and its ids: another tokenizer, or other rules before it, make other ids. */
static int add_text(vx_sha256 *hash, vx_tokens *tokens, const vitx_texts *t, const char *text)
{
    bool cut;
    int rows;
    tokens->count = 0;
    VX_TRY(vx_words_tokens(tokens, &rows, &cut, t, text));
    vx_sha256_add_text(hash, text);
    for (int i = 0; i < tokens->count; i++)
        vx_sha256_add(hash, &tokens->at[i].id, sizeof tokens->at[i].id);
    return VITX_OK;
}

int vx_terms_add(vx_sha256 *hash, const vitx_texts *t, const char *const *list, int n)
{
    vx_tokens tokens = {0};
    int status = VITX_OK;
    for (int i = 0; i < n && status == VITX_OK; i++)
        status = add_text(hash, &tokens, t, list[i]);
    vx_tokens_free(&tokens);
    return status;
}

int vitx_texts_digest(char out[VITX_DIGEST_TEXT], vitx_texts *texts, const char *const *list, int n)
{
    uint8_t bytes[VX_SHA256];
    vx_sha256 hash;
    if (!out || !texts || !list || n < 1)
        return vx_fail(VITX_INVALID, "vitx_texts_digest: an argument is NULL, or n is %d", n);
    for (int i = 0; i < n; i++)
        if (!list[i])
            return vx_fail(VITX_INVALID, "vitx_texts_digest: text %d is NULL", i);
    VX_TRY(vx_terms_begin(&hash, texts));
    VX_TRY(vx_terms_add(&hash, texts, list, n));
    vx_sha256_end(bytes, &hash);
    vx_sha256_text(out, bytes);
    return VITX_OK;
}
