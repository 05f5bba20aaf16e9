/*
 * model/text_rows.c: see text_rows.h.
 *
 * The table of tokens may be as large as the rest of the model, and texts read a few of its rows:
 * each by a positioned read. Prompts share most of their words, so that rows are kept, each in the
 * one place that its id has.
 */
#include "model/text_rows.h"

#include <pthread.h>
#include <string.h>

#include "model/model.h"

struct vx_text_rows {
    vitx_hooks hooks;
    size_t width;
    float *places; /* [context,D]: positions [+ types] */
    pthread_mutex_t lock;
    int kept;    /* places for tokens */
    int *ids;    /* [kept]: the token that lies there + 1; 0: none */
    float *rows; /* [kept,D] */
};

static int read_places(vx_text_rows *r, const vx_text_model *m)
{
    const vx_text_rules *rules = &m->text;
    const size_t d = r->width, n = (size_t)rules->context * d;
    float *type = NULL;
    VX_TRY(vx_new(&r->places, &r->hooks, n, sizeof *r->places, "positions of texts"));
    VX_TRY(vx_tensor_read_f32(rules->positions, r->places, (uint64_t)rules->first_position * d, n));
    if (!rules->types)
        return VITX_OK;
    VX_TRY(vx_new(&type, &r->hooks, d, sizeof *type, "a type of tokens"));
    const int status = vx_tensor_read_f32(rules->types, type, 0, d);
    for (size_t i = 0; i < n && status == VITX_OK; i++)
        r->places[i] += type[i % d];
    vx_release(&r->hooks, type);
    return status;
}

static int make_room(vx_text_rows *r, const vx_text_model *m)
{
    const size_t bytes = r->width * sizeof *r->rows, most = VX_TEXT_KEPT_BYTES / bytes + 1;
    r->kept = m->arch.vocabulary < VX_TEXT_KEPT ? m->arch.vocabulary : VX_TEXT_KEPT;
    r->kept = (size_t)r->kept < most ? r->kept : (int)most;
    VX_TRY(vx_new(&r->ids, &r->hooks, (size_t)r->kept, sizeof *r->ids, "a list of tokens"));
    /* not zeroed, so that it takes no more memory than is used of it */
    r->rows = vx_alloc(&r->hooks, (size_t)r->kept * bytes);
    return r->rows ? VITX_OK : vx_fail(VITX_NOMEM, "no memory for rows of tokens");
}

int vx_text_rows_open(vx_text_rows **out, const vx_text_model *m)
{
    vx_text_rows *r;
    *out = NULL;
    VX_TRY(vx_new(&r, &m->hooks, 1, sizeof *r, "rows of texts"));
    r->hooks = m->hooks;
    r->width = (size_t)m->arch.width;
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        vx_release(&m->hooks, r);
        return vx_fail(VITX_NOMEM, "no mutex for rows of texts");
    }
    int status = read_places(r, m);
    if (status == VITX_OK)
        status = make_room(r, m);
    if (status != VITX_OK) {
        vx_text_rows_close(r);
        return status;
    }
    *out = r;
    return VITX_OK;
}

void vx_text_rows_close(vx_text_rows *r)
{
    if (!r)
        return;
    const vitx_hooks hooks = r->hooks;
    pthread_mutex_destroy(&r->lock);
    vx_release(&hooks, r->places);
    vx_release(&hooks, r->ids);
    vx_release(&hooks, r->rows);
    vx_release(&hooks, r);
}

/* What keeps a whole tensor at hand (npz.h) is read by one thread at a time, and not while weights
 * are packed. */
static int read_token(float *row, const vx_text_model *m, int id)
{
    const vx_tensor *t = m->text.tokens;
    const size_t d = (size_t)m->arch.width;
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&m->lock;
    if (!t->npz)
        return vx_tensor_read_f32(t, row, (uint64_t)id * d, d);
    pthread_mutex_lock(lock);
    const int status = vx_tensor_read_f32(t, row, (uint64_t)id * d, d);
    pthread_mutex_unlock(lock);
    return status;
}

static bool take_kept(float *row, vx_text_rows *r, int id)
{
    const size_t at = (size_t)(id % r->kept);
    pthread_mutex_lock(&r->lock);
    const bool there = r->ids[at] == id + 1;
    if (there)
        memcpy(row, r->rows + at * r->width, r->width * sizeof *row);
    pthread_mutex_unlock(&r->lock);
    return there;
}

static void keep(vx_text_rows *r, const float *row, int id)
{
    const size_t at = (size_t)(id % r->kept);
    pthread_mutex_lock(&r->lock);
    memcpy(r->rows + at * r->width, row, r->width * sizeof *row);
    r->ids[at] = id + 1;
    pthread_mutex_unlock(&r->lock);
}

int vx_text_row(float *row, const vx_text_model *m, int id, int place)
{
    const vx_text_rules *rules = &m->text;
    vx_text_rows *r = rules->rows;
    if (id < 0 || id >= m->arch.vocabulary)
        return vx_fail_in(VITX_INVALID, m->path, "id %d is beyond the %d rows of tensor %.100s", id,
                          m->arch.vocabulary, rules->tokens->name);
    if (place < 0 || place >= rules->context)
        return vx_fail_in(VITX_INVALID, m->path, "place %d in a text: it takes %d tokens", place,
                          rules->context);
    if (!take_kept(row, r, id)) {
        VX_TRY(read_token(row, m, id));
        keep(r, row, id);
    }
    const float *added = r->places + (size_t)place * r->width;
    for (size_t j = 0; j < r->width; j++)
        row[j] += added[j];
    return VITX_OK;
}
