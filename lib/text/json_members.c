/* text/json_members.c: see json_members.h. */
#include "text/json_members.h"

#include <string.h>

/* Values of a small member, at most: a tree of them is bounded by it. */
enum { MOST_VALUES = 1 << 20 };

static vx_part *member_of(vx_part *members, int count, const vx_buffer *key)
{
    for (int i = 0; i < count; i++)
        if (strlen(members[i].key) == key->size &&
            memcmp(members[i].key, key->data, key->size) == 0)
            return &members[i];
    return NULL;
}

static int find(vx_part *members, int count, vx_pull *r, vx_buffer *key, const char *what)
{
    VX_TRY(vx_pull_open(r, '{'));
    for (bool more;;) {
        VX_TRY(vx_pull_more(r, &more));
        if (!more)
            return vx_pull_end(r);
        VX_TRY(vx_pull_key(r, key));
        vx_part *const member = member_of(members, count, key);
        if (!member)
            return vx_fail_in(VITX_UNSUPPORTED, r->name, "%s has \"%.60s\", which is not done here",
                              what, key->data);
        if (member->text)
            return vx_fail_in(VITX_FORMAT, r->name, "%s has \"%s\" twice", what, member->key);
        vx_pull_peek(r);
        member->text = r->at;
        VX_TRY(vx_pull_skip(r));
        member->bytes = (size_t)(r->at - member->text);
    }
}

int vx_parts_find(vx_part *members, int count, const char *text, size_t bytes,
                  const vitx_hooks *hooks, const char *name, const char *what)
{
    vx_pull r = vx_pull_over(text, bytes, name);
    vx_buffer key = {.hooks = hooks};
    const int status = find(members, count, &r, &key, what);
    vx_buffer_dispose(&key);
    return status;
}

bool vx_part_given(const vx_part *m)
{
    return m->text && !(m->bytes == 4 && memcmp(m->text, "null", 4) == 0);
}

int vx_part_parse(vx_json **out, const vx_part *m, const char *name)
{
    *out = NULL;
    return vx_part_given(m) ? vx_json_parse(out, m->text, m->bytes, name, MOST_VALUES) : VITX_OK;
}

int vx_json_only(const vx_json *object, const char *const *keys, const char *name, const char *what)
{
    if (!vx_json_is_object(object))
        return vx_fail_in(VITX_FORMAT, name, "%s is no object", what);
    for (const vx_json *m = vx_json_first(object); m; m = vx_json_next(m)) {
        int i = 0;
        while (keys[i] && strcmp(keys[i], vx_json_key(m)) != 0)
            i++;
        if (!keys[i])
            return vx_fail_in(VITX_UNSUPPORTED, name, "%s has \"%.60s\", which is not done here",
                              what, vx_json_key(m));
    }
    return VITX_OK;
}

int vx_json_flag(bool *out, const vx_json *object, const char *key, bool missing, const char *name)
{
    const vx_json *const node = vx_json_get(object, key);
    *out = missing;
    if (!node || vx_json_is_null(node) || vx_json_bool(node, out))
        return VITX_OK;
    return vx_fail_in(VITX_FORMAT, name, "\"%s\" is neither true nor false", key);
}
