/*
 * model/roles.c: a role's name in a naming, and the tensor that has it, in the shape it must have.
 */
#include "model/roles.h"

#include <stdio.h>
#include <string.h>

/* A role's row: the naming's own, or that of the next base that has one. `behind`: whether its
 * names stand behind the prefix. */
static const char *row_of(bool *behind, const vx_naming *naming, vx_role role)
{
    *behind = false;
    for (; naming && !naming->names[role]; naming = naming->base)
        *behind = *behind || naming->behind_prefix;
    return naming && naming->names[role][0] ? naming->names[role] : NULL;
}

bool vx_role_named(const vx_naming *naming, vx_role role)
{
    bool behind;
    return row_of(&behind, naming, role) != NULL;
}

const char *vx_write_name(char *text, size_t size, const char *name, const char *prefix, int block)
{
    size_t at = 0;
    text[0] = '\0';
    for (const char *p = name; *p && *p != '|' && at + 1 < size; p++) {
        if (*p == '*')
            at += (size_t)snprintf(text + at, size - at, "%s", prefix);
        else if (*p == '#')
            at += (size_t)snprintf(text + at, size - at, "%d", block);
        else
            at += (size_t)snprintf(text + at, size - at, "%c", *p);
    }
    return text;
}

/* One name of a row, written out. */
static const char *write_row(char *text, size_t size, const char *name, bool behind,
                             const char *prefix, int block)
{
    const size_t at = behind ? (size_t)snprintf(text, size, "%s", prefix) : 0;
    if (at < size)
        vx_write_name(text + at, size - at, name, prefix, block);
    return text;
}

const char *vx_role_name(char *text, size_t size, const vx_naming *naming, const char *prefix,
                         vx_role role, int block)
{
    bool behind;
    const char *row = row_of(&behind, naming, role);
    return write_row(text, size, row ? row : "", row && behind, prefix, block);
}

char vx_role_number(char *text, size_t size, const vx_naming *naming, const char *prefix,
                    vx_role role)
{
    bool behind;
    const char *row = row_of(&behind, naming, role), *number = strchr(row, '#');
    char start[100];
    snprintf(start, sizeof start, "%.*s", (int)(number - row), row);
    write_row(text, size, start, behind, prefix, 0);
    return number[1];
}

const vx_tensor *vx_role_find(const vx_container *c, const vx_naming *naming, const char *prefix,
                              vx_role role, int block)
{
    char name[200];
    bool behind;
    const vx_tensor *found = NULL;
    for (const char *p = row_of(&behind, naming, role); p && !found;) {
        found = vx_container_find(c, write_row(name, sizeof name, p, behind, prefix, block));
        p = strchr(p, '|');
        p = p ? p + 1 : NULL;
    }
    return found;
}

int vx_role_behind(const char *key, const vx_naming *naming, const char *prefix, vx_role role)
{
    char name[200];
    bool behind;
    const size_t length = strlen(key);
    for (const char *p = row_of(&behind, naming, role); p;) {
        const size_t n = strlen(write_row(name, sizeof name, p, behind, prefix, 0));
        if (n <= length && strcmp(key + length - n, name) == 0 &&
            (n == length || key[length - n - 1] == '.'))
            return (int)(length - n);
        p = strchr(p, '|');
        p = p ? p + 1 : NULL;
    }
    return -1;
}

bool vx_harmless(const char *name, const char *const *list, const char *prefix)
{
    char full[200];
    for (; list && *list; list++) {
        const size_t n = strlen(vx_write_name(full, sizeof full, *list, prefix, 0));
        const bool beginning = full[n - 1] == '.' || full[n - 1] == '/';
        if (strcmp(name, full) == 0 || (beginning && strncmp(name, full, n) == 0))
            return true;
    }
    return false;
}

/* -------------------------------------------------------------------------- shapes -------- */

/* The dimensions of 1 that a role's shape begins with and this tensor leaves out. */
static int left_out(const vx_tensor *t, vx_role role)
{
    const int short_of = vx_role_rank(role) - t->rank, ones = vx_role_leading_ones(role);
    return short_of < 0 ? 0 : short_of < ones ? short_of : ones;
}

static int check_shape(const vx_reader *r, const vx_tensor *t, vx_role role)
{
    int64_t whole[VX_ROLE_DIMS];
    const int left = left_out(t, role);
    const int rank = vx_role_shape(whole, role, &r->sizes) - left;
    const int64_t *shape = whole + left;
    bool same = rank == t->rank;
    for (int i = 0; same && i < rank; i++)
        same = t->shape[i] == shape[i];
    if (same)
        return VITX_OK;
    char expected[120], is[200];
    return vx_fail_in(VITX_FORMAT, r->container->path, "tensor %.100s has shape %s, expected %s",
                      t->name, vx_shape_text(is, sizeof is, t->shape, t->rank),
                      vx_shape_text(expected, sizeof expected, shape, rank));
}

int vx_role_missing(const vx_reader *r, vx_role role, int block)
{
    char name[200];
    vx_role_name(name, sizeof name, r->match->dialect->naming, r->match->prefix, role, block);
    return vx_fail_in(VITX_FORMAT, r->container->path, "lacks tensor %s%s", name,
                      role == VX_HEAD_W ? r->match->like : "");
}

static int check_type(const vx_reader *r, const vx_tensor *t)
{
    const char *name = t->dtype_name;
    return t->dtype != VX_DTYPE_OTHER
               ? VITX_OK
               : vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                            "tensor %.100s is %s%s; vitx reads F64, F32, F16 and BF16", t->name,
                            name, name[0] == 'I' || name[0] == 'U' ? ", perhaps quantized" : "");
}

int vx_role_take(const vx_tensor **out, vx_reader *r, vx_role role, int block, bool required)
{
    const vx_naming *naming = r->match->dialect->naming;
    const vx_tensor *t = vx_role_find(r->container, naming, r->match->prefix, role, block);
    *out = t;
    if (!vx_role_named(naming, role) || (!t && !required))
        return VITX_OK;
    if (!t)
        return vx_role_missing(r, role, block);
    VX_TRY(check_type(r, t));
    r->used[t - r->container->tensors] = true;
    return check_shape(r, t, role);
}

int vx_role_size(int *out, const vx_reader *r, vx_role role, int block, int at, int most,
                 const char *what)
{
    const vx_tensor *t =
        vx_role_find(r->container, r->match->dialect->naming, r->match->prefix, role, block);
    char shape[200];
    if (!t)
        return vx_role_missing(r, role, block);
    VX_TRY(check_type(r, t));
    const int without = left_out(t, role);
    at -= without;
    if (t->rank + without != vx_role_rank(role))
        return vx_fail_in(
            VITX_FORMAT, r->container->path, "tensor %.100s has shape %s, expected %d dimensions",
            t->name, vx_shape_text(shape, sizeof shape, t->shape, t->rank), vx_role_rank(role));
    if (t->shape[at] < 1 || t->shape[at] > most)
        return vx_fail_in(VITX_UNSUPPORTED, r->container->path,
                          "tensor %.100s has shape %s: %s from 1 to %d is supported", t->name,
                          vx_shape_text(shape, sizeof shape, t->shape, t->rank), what, most);
    *out = (int)t->shape[at];
    return VITX_OK;
}
