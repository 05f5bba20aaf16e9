/* model/wrapping.c: see wrapping.h. */
#include "model/wrapping.h"

#include <stdio.h>
#include <string.h>

#include "model/roles.h"
#include "model/spelling.h"

/* -------------------------------------------------------------------------- within -------- */

/* Members of wrappers around a part: torch.compile's, FSDP's, those of activation checkpointing and
 * of Lightning's Fabric. None of them changes what the part computes. */
static const char *const parts[] = {"_orig_mod.", "_fsdp_wrapped_module.",
                                    "_checkpoint_wrapped_module.", "_forward_module."};

static size_t part_at(const char *key, size_t at)
{
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const size_t n = strlen(parts[i]);
        if ((at == 0 || key[at - 1] == '.') && strncmp(key + at, parts[i], n) == 0)
            return n;
    }
    return 0;
}

static bool has_part(const char *key)
{
    for (size_t i = 0; key[i]; i++)
        if (part_at(key, i))
            return true;
    return false;
}

/* The key without such parts, but for those at its beginning, which are a prefix like others. */
static bool leave_parts_out(char *key, size_t size, const vx_tensor *t, void *arg)
{
    size_t at = 0;
    bool changed = false, begun = false;
    for (size_t i = 0; t->key[i] && at + 1 < size;) {
        const size_t n = part_at(t->key, i);
        begun = begun || !n;
        changed = changed || (n && begun);
        if (n && begun)
            i += n;
        else
            key[at++] = t->key[i++];
    }
    key[at] = '\0';
    (void)arg;
    return changed && at + 1 < size;
}

/* -------------------------------------------------------------------------- chunks -------- */

/* Behind "blocks." two numbers, the chunk's and the block's: where the first begins, or NULL. */
static const char *chunk_of(int *chunk, int *block, const char *key)
{
    for (const char *p = strstr(key, "blocks."); p; p = strstr(p + 1, "blocks.")) {
        int used = 0;
        if ((p == key || p[-1] == '.') &&
            sscanf(p, "blocks.%4d.%4d.%n", chunk, block, &used) == 2 && used > 0)
            return p + strlen("blocks.");
    }
    return NULL;
}

static bool leave_chunk_out(char *key, size_t size, const vx_tensor *t, void *arg)
{
    int chunk, block;
    const char *first = chunk_of(&chunk, &block, t->key);
    (void)arg;
    return first && snprintf(key, size, "%.*s%s", (int)(first - t->key), t->key,
                             strchr(first, '.') + 1) < (int)size;
}

/* DINOv2 and FSDP number the blocks of all chunks through. Where each chunk begins with 0 again,
 * nothing says in which order they run, and they stay as they are. */
static bool are_chunks(const vx_container *c)
{
    int of[VX_MAX_DEPTH], chunk, block;
    bool any = false;
    for (int i = 0; i < VX_MAX_DEPTH; i++)
        of[i] = -1;
    for (int i = 0; i < c->count; i++) {
        if (!chunk_of(&chunk, &block, c->tensors[i].key))
            continue;
        if (chunk < 0 || block < 0 || block >= VX_MAX_DEPTH ||
            (of[block] >= 0 && of[block] != chunk))
            return false;
        of[block] = chunk;
        any = true;
    }
    return any;
}

/* -------------------------------------------------------------------------- prefix -------- */

/* The shortest prefix of a tensor's key behind which a network lies that begins with that tensor;
 * 0: none. */
static int prefix_of(const vx_tensor *t, vx_container *c, const vx_config *config)
{
    char through[VX_PREFIX];
    int shortest = 0;
    for (int f = 0; vx_family_at(f); f++)
        for (const vx_dialect *d = vx_family_at(f)->dialects; d->naming; d++) {
            const int n = vx_role_behind(t->key, d->naming, d->prefix, VX_PATCH_W);
            vx_match match;
            if (n < 1 || n >= VX_PREFIX || (shortest && n >= shortest))
                continue;
            snprintf(through, sizeof through, "%.*s", n, t->key);
            c->through = through;
            if (vx_family_find(&match, c, config))
                shortest = n;
            c->through = NULL;
        }
    return shortest;
}

/* A copy that training keeps beside the network, by a word of its prefix. */
static bool is_copy(const char *prefix)
{
    static const char *const words[] = {"momentum_encoder.", "ema.", "model_ema.", "ema_model.",
                                        "module_ema."};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *at = strstr(prefix, words[i]);
        if (at && (at == prefix || at[-1] == '.'))
            return true;
    }
    return false;
}

/* The prefix of the one network in the file; "" if there is none. A copy is taken where it is
 * alone. */
static int find_prefix(char prefix[VX_PREFIX], vx_container *c, const vx_config *config)
{
    enum { MOST = 32 }; /* tries: a file has one such tensor a network, a hostile one many */
    char copy[VX_PREFIX] = "";
    for (int i = 0, tries = 0; i < c->count && tries < MOST; i++) {
        char next[VX_PREFIX];
        const int n = prefix_of(&c->tensors[i], c, config);
        if (n == 0)
            continue;
        tries++;
        snprintf(next, sizeof next, "%.*s", n, c->tensors[i].key);
        char *const to = is_copy(next) ? copy : prefix;
        if (to[0] && strcmp(to, next) != 0)
            return vx_fail_field_in(
                VITX_UNSUPPORTED, c->path, "ignore",
                "holds a network behind %.100s and another behind %.100s: leave out "
                "the one that is not meant, as with ignore '%.100s*'",
                to, next, to);
        memcpy(to, next, sizeof next);
    }
    if (!prefix[0])
        memcpy(prefix, copy, sizeof copy);
    return VITX_OK;
}

/* How much of a key and of the prefix is the same, up to a '.'. */
static size_t shared(const char *key, const char *prefix)
{
    size_t same = 0;
    for (size_t i = 0; prefix[i] && key[i] == prefix[i]; i++)
        if (prefix[i] == '.')
            same = i + 1;
    return same;
}

typedef struct wrapped {
    const vx_container *container;
    const char *prefix;
} wrapped;

/* Whether the network has a tensor of that name, too. */
static bool is_taken(const vx_container *c, const char *prefix, const char *rest)
{
    char key[2 * VX_PREFIX];
    return snprintf(key, sizeof key, "%s%s", prefix, rest) >= (int)sizeof key ||
           vx_container_find(c, key);
}

/* What lies beside the network, as a head of its own does, loses what it shares of the prefix. */
static bool leave_prefix_out(char *key, size_t size, const vx_tensor *t, void *arg)
{
    const wrapped *w = arg;
    const size_t n = shared(t->key, w->prefix);
    if (n == 0 || (w->prefix[n] && is_taken(w->container, w->prefix, t->key + n)))
        return false;
    return snprintf(key, size, "%s", t->key + n) < (int)size;
}

/* All keys begin so, up to a '.'; where no network is found, what is behind it tells which. */
static void find_common(char prefix[VX_PREFIX], const vx_container *c)
{
    size_t n = 0;
    const char *first = c->count ? c->tensors[0].key : "";
    const char *last = c->count ? c->tensors[c->count - 1].key : ""; /* they are sorted */
    for (size_t i = 0; i + 1 < VX_PREFIX && first[i] && first[i] == last[i]; i++)
        if (first[i] == '.')
            n = i + 1;
    snprintf(prefix, VX_PREFIX, "%.*s", (int)n, first);
}

/* Of a network that was found: all that stands before its names, what was left out of them in the
 * first step, too. */
static void describe(vx_wrapping *out, const vx_container *c, const vx_match *match)
{
    const vx_tensor *t = vx_role_find(c, match->dialect->naming, match->prefix, VX_PATCH_W, 0);
    const size_t name = strlen(t->name), key = strlen(t->key);
    if (name >= key && strcmp(t->name + name - key, t->key) == 0)
        snprintf(out->prefix, sizeof out->prefix, "%.*s", (int)(name - key), t->name);
    for (int i = 0; i < c->count && !out->parts; i++)
        out->parts = has_part(c->tensors[i].name + shared(c->tensors[i].name, out->prefix));
}

/* Chunks whose blocks are numbered from 0 each. */
static int refuse_chunks(const vx_container *c, const vx_match *match)
{
    const size_t n = strlen(match->prefix);
    int chunk, block;
    for (int i = 0; i < c->count; i++) {
        if (strncmp(c->tensors[i].key, match->prefix, n) != 0)
            continue;
        const char *key = c->tensors[i].key + n;
        const char *first = strncmp(key, "blocks.", 7) == 0 ? chunk_of(&chunk, &block, key) : NULL;
        if (first == key + 7 && block == 0 && chunk > 0)
            return vx_fail_in(VITX_UNSUPPORTED, c->path,
                              "its blocks lie in chunks that begin with 0 each (%.60s), so that "
                              "nothing says in which order they run",
                              c->tensors[i].name);
    }
    return VITX_OK;
}

static int take_prefix(vx_wrapping *out, vx_container *c, const vx_config *config)
{
    wrapped w = {c, out->prefix};
    VX_TRY(find_prefix(out->prefix, c, config));
    out->common = !out->prefix[0];
    if (out->common)
        find_common(out->prefix, c);
    return out->prefix[0] ? vx_container_rename(c, leave_prefix_out, &w) : VITX_OK;
}

int vx_wrapping_take(vx_wrapping *out, vx_container *c, const vx_config *config)
{
    vx_match match;
    *out = (vx_wrapping){.parts = false};
    VX_TRY(vx_container_rename(c, leave_parts_out, NULL));
    VX_TRY(vx_spelling_take(c));
    out->chunks = are_chunks(c);
    if (out->chunks)
        VX_TRY(vx_container_rename(c, leave_chunk_out, NULL));
    if (!vx_family_find(&match, c, config))
        VX_TRY(take_prefix(out, c, config));
    if (!vx_family_find(&match, c, config))
        return VITX_OK;
    describe(out, c, &match);
    return out->chunks ? VITX_OK : refuse_chunks(c, &match);
}

const char *vx_wrapping_text(char *text, size_t size, const vx_wrapping *w)
{
    const char *const between = w->prefix[0] && (w->parts || w->chunks) ? ", " : "";
    snprintf(text, size, "%s%s%s%s%s%s", w->prefix, w->prefix[0] ? " before the names" : "",
             between, w->parts ? "wrappers within them" : "", w->parts && w->chunks ? ", " : "",
             w->chunks ? "blocks in chunks" : "");
    return text;
}
