/* words/label_cache.c: see label_cache.h. */
#include "words/label_cache.h"

#include <string.h>

#include "base/file.h"
#include "base/sink.h"
#include "words/terms.h"

static const char magic[] = "vitx labels 1\n";
enum { MAGIC = sizeof magic - 1, NUMBERS = 3, HEAD = MAGIC + VX_SHA256 + NUMBERS * 4 };

/* -------------------------------------------------------------------------- the key ------- */

int vx_label_key_make(vx_label_key *out, const vitx_label_set *set, vitx_texts *t,
                      const vitx_label_set_opts *opts)
{
    vx_sha256 hash;
    VX_TRY(vx_terms_begin(&hash, t));
    VX_TRY(vx_terms_add(&hash, t, (const char *const *)set->labels, set->info.count));
    vx_sha256_add_text(&hash, "templates");
    VX_TRY(vx_terms_add(&hash, t, opts->templates, opts->template_count));
    vx_sha256_end(out->bytes, &hash);
    return VITX_OK;
}

/* -------------------------------------------------------------------------- the file ------ */

static size_t vector_bytes(const vitx_label_set *set)
{
    return (size_t)set->info.count * (size_t)set->info.units * sizeof *set->vectors;
}

static void put_u32(uint8_t *to, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(number >> 8 * i);
}

static uint32_t u32_at(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void write_head(uint8_t head[HEAD], const vitx_label_set *set, const vx_label_key *key)
{
    memcpy(head, magic, MAGIC);
    memcpy(head + MAGIC, key->bytes, VX_SHA256);
    put_u32(head + MAGIC + VX_SHA256, (uint32_t)set->info.count);
    put_u32(head + MAGIC + VX_SHA256 + 4, (uint32_t)set->info.units);
    put_u32(head + MAGIC + VX_SHA256 + 8, (uint32_t)set->info.cut);
}

static void digest_of(uint8_t digest[VX_SHA256], const uint8_t *head, const void *numbers,
                      size_t bytes)
{
    vx_sha256 hash;
    vx_sha256_begin(&hash);
    vx_sha256_add(&hash, head, HEAD);
    vx_sha256_add(&hash, numbers, bytes);
    vx_sha256_end(digest, &hash);
}

static bool take(vitx_label_set *set, const uint8_t *file, size_t size, const vx_label_key *key)
{
    uint8_t head[HEAD], digest[VX_SHA256];
    const size_t bytes = vector_bytes(set);
    if (size != HEAD + bytes + VX_SHA256)
        return false;
    set->info.cut = (int)u32_at(file + HEAD - 4);
    write_head(head, set, key);
    digest_of(digest, file, file + HEAD, bytes);
    if (memcmp(head, file, HEAD) != 0 || memcmp(digest, file + HEAD + bytes, VX_SHA256) != 0) {
        set->info.cut = 0;
        return false;
    }
    memcpy(set->vectors, file + HEAD, bytes);
    return true;
}

int vx_label_cache_check(bool *usable, const vitx_label_set *set, const char *path)
{
    char head[MAGIC];
    vx_file *file;
    *usable = !vx_path_exists(path);
    if (*usable)
        return VITX_OK;
    if (vx_file_open(&file, path, &set->hooks) != VITX_OK) {
        vx_log(&set->hooks, VITX_LOG_WARNING, "the labels' vectors are not kept: %s",
               vitx_last_error());
        return VITX_OK;
    }
    const size_t bytes = file->size < MAGIC ? (size_t)file->size : MAGIC;
    const int status = vx_file_read(file, head, 0, bytes);
    const bool known = file->size == 0 || (bytes == MAGIC && memcmp(head, magic, MAGIC) == 0);
    vx_file_close(file);
    VX_TRY(status);
    if (!known)
        return vx_fail_in(VITX_INVALID, path,
                          "is no file of labels' vectors, and is not replaced: take another name");
    *usable = true;
    return VITX_OK;
}

bool vx_label_cache_read(vitx_label_set *set, const char *path, const vx_label_key *key)
{
    char *file;
    size_t size;
    if (!vx_path_exists(path) ||
        vx_file_load(&file, &size, path, HEAD + vector_bytes(set) + VX_SHA256, &set->hooks) !=
            VITX_OK)
        return false;
    const bool taken = take(set, (const uint8_t *)file, size, key);
    vx_release(&set->hooks, file);
    return taken;
}

static int put_all(vx_sink *sink, const vitx_label_set *set, const vx_label_key *key)
{
    uint8_t head[HEAD], digest[VX_SHA256];
    write_head(head, set, key);
    digest_of(digest, head, set->vectors, vector_bytes(set));
    VX_TRY(vx_sink_put(sink, head, HEAD));
    VX_TRY(vx_sink_put(sink, set->vectors, vector_bytes(set)));
    return vx_sink_put(sink, digest, VX_SHA256);
}

void vx_label_cache_write(const vitx_label_set *set, const char *path, const vx_label_key *key)
{
    vx_sink sink = vx_sink_file(path, &set->hooks);
    if (vx_sink_end(&sink, put_all(&sink, set, key)) != VITX_OK)
        vx_log(&set->hooks, VITX_LOG_WARNING, "the labels' vectors are not kept: %s",
               vitx_last_error());
}
