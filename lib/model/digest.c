/* model/digest.c: see digest.h. */
#include "model/digest.h"

#include <string.h>

#include "base/sha256.h"

#define PIECE ((size_t)1 << 15) /* on the stack */

static void finish(char out[VITX_DIGEST_TEXT], vx_sha256 *hash)
{
    uint8_t digest[VX_SHA256];
    vx_sha256_end(digest, hash);
    vx_sha256_text(out, digest);
}

static int digest_file(char out[VITX_DIGEST_TEXT], const vx_file *file, const atomic_bool *stop)
{
    vx_sha256 hash;
    uint8_t piece[PIECE];
    vx_sha256_begin(&hash);
    for (uint64_t at = 0; at < file->size; at += PIECE) {
        const size_t bytes = file->size - at < PIECE ? (size_t)(file->size - at) : PIECE;
        if (stop && atomic_load(stop))
            return vx_fail(VITX_CANCELLED, "the digest of the weights is not wanted any more");
        VX_TRY(vx_file_read(file, piece, at, bytes));
        vx_sha256_add(&hash, piece, bytes);
    }
    finish(out, &hash);
    return vx_file_unchanged(file);
}

static const char *name_of(const vx_file *file)
{
    const char *slash = strrchr(file->path, '/');
    return slash ? slash + 1 : file->path;
}

/* The file whose name comes next after `last` (NULL: the first one); NULL past the last. */
static const vx_file *next_file(const vx_container *c, const vx_file *last)
{
    const vx_file *next = NULL;
    for (int i = 0; i < c->file_count; i++)
        if ((!last || strcmp(name_of(c->files[i]), name_of(last)) > 0) &&
            (!next || strcmp(name_of(c->files[i]), name_of(next)) < 0))
            next = c->files[i];
    return next;
}

/* Of a list as sha256sum prints it: digest, two blanks, name. */
static int digest_list(char out[VITX_DIGEST_TEXT], const vx_container *c, const atomic_bool *stop)
{
    vx_sha256 hash;
    char text[VITX_DIGEST_TEXT];
    vx_sha256_begin(&hash);
    for (const vx_file *f = NULL; (f = next_file(c, f));) {
        VX_TRY(digest_file(text, f, stop));
        vx_sha256_add(&hash, text, strlen(text));
        vx_sha256_add(&hash, "  ", 2);
        vx_sha256_add(&hash, name_of(f), strlen(name_of(f)));
        vx_sha256_add(&hash, "\n", 1);
    }
    finish(out, &hash);
    return VITX_OK;
}

bool vx_model_has_digest(vitx_model *model)
{
    pthread_mutex_lock(&model->lock);
    const bool has = model->digest[0] != '\0';
    pthread_mutex_unlock(&model->lock);
    return has;
}

/* Without the lock, which a context that packs weights takes: two threads may do the same work. */
int vx_model_find_digest(vitx_model *model, const atomic_bool *stop)
{
    const vx_container *c = model->container;
    char text[VITX_DIGEST_TEXT];
    if (vx_model_has_digest(model))
        return VITX_OK;
    VX_TRY(c->file_count == 1 ? digest_file(text, c->files[0], stop) : digest_list(text, c, stop));
    pthread_mutex_lock(&model->lock);
    memcpy(model->digest, text, sizeof text);
    pthread_mutex_unlock(&model->lock);
    return VITX_OK;
}

static bool has_file(const vx_container *c, const vx_file *file)
{
    for (int i = 0; i < c->file_count; i++)
        if (vx_file_same(c->files[i], file) && strcmp(name_of(c->files[i]), name_of(file)) == 0)
            return true;
    return false;
}

void vx_model_take_digest(vitx_model *model, vitx_model *other)
{
    const vx_container *c = model->container;
    char text[VITX_DIGEST_TEXT] = "";
    bool same = c->file_count == other->container->file_count && vx_model_has_digest(other);
    for (int i = 0; i < c->file_count && same; i++)
        same = has_file(other->container, c->files[i]);
    if (!same)
        return;
    pthread_mutex_lock(&other->lock);
    memcpy(text, other->digest, sizeof text);
    pthread_mutex_unlock(&other->lock);
    pthread_mutex_lock(&model->lock);
    memcpy(model->digest, text, sizeof text);
    pthread_mutex_unlock(&model->lock);
}

int vitx_model_digest(char out[VITX_DIGEST_TEXT], vitx_model *model)
{
    if (!out || !model)
        return vx_fail(VITX_INVALID, "vitx_model_digest: an argument is NULL");
    VX_TRY(vx_model_find_digest(model, NULL));
    pthread_mutex_lock(&model->lock);
    memcpy(out, model->digest, sizeof model->digest);
    pthread_mutex_unlock(&model->lock);
    return VITX_OK;
}
