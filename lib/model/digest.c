/* model/digest.c: see digest.h; by Nettle. */
#include "model/digest.h"

#include <nettle/sha2.h>
#include <nettle/version.h>
#include <stdio.h>
#include <string.h>

#define PIECE ((size_t)1 << 15) /* on the stack */

/* To hexadecimal. Nettle 4 takes no length any more. */
static void finish(char out[VITX_DIGEST_TEXT], struct sha256_ctx *hash)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(hash, digest);
#else
    sha256_digest(hash, sizeof digest, digest);
#endif
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static int digest_file(char out[VITX_DIGEST_TEXT], const vx_file *file, const atomic_bool *stop)
{
    struct sha256_ctx hash;
    uint8_t piece[PIECE];
    sha256_init(&hash);
    for (uint64_t at = 0; at < file->size; at += PIECE) {
        const size_t bytes = file->size - at < PIECE ? (size_t)(file->size - at) : PIECE;
        if (stop && atomic_load(stop))
            return vx_fail(VITX_CANCELLED, "the digest of the weights is not wanted any more");
        VX_TRY(vx_file_read(file, piece, at, bytes));
        sha256_update(&hash, bytes, piece);
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
    struct sha256_ctx hash;
    char text[VITX_DIGEST_TEXT];
    sha256_init(&hash);
    for (const vx_file *f = NULL; (f = next_file(c, f));) {
        VX_TRY(digest_file(text, f, stop));
        sha256_update(&hash, strlen(text), (const uint8_t *)text);
        sha256_update(&hash, 2, (const uint8_t *)"  ");
        sha256_update(&hash, strlen(name_of(f)), (const uint8_t *)name_of(f));
        sha256_update(&hash, 1, (const uint8_t *)"\n");
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
