/*
 * model/roles.h: the tensors of a file by what they are there for (vx_role).
 */
#ifndef VX_MODEL_ROLES_H
#define VX_MODEL_ROLES_H

#include "model/family.h"
#include "model/members.h"

/* What the functions that read a model share. arch and the other sizes fill up as they become
 * known. */
typedef struct vx_reader {
    vx_found *found;
    vx_arch *arch;
    vx_sizes sizes; /* of shapes; its arch is the one above */
    const vx_match *match;
    const vx_hints *hints;
    const vx_container *container;
    const vx_config *config;
    bool *used; /* [container->count] */
} vx_reader;

/* Whether a naming has a name for a role (vx_naming.names). */
bool vx_role_named(const vx_naming *naming, vx_role role);

/* A role's name in `text`: the first, if it has several; "" if it has none. Returns text. */
const char *vx_role_name(char *text, size_t size, const vx_naming *naming, const char *prefix,
                         vx_role role, int block);

/* The part of a name before the block's number, in `text`, of a role that has one.
 * @return the character behind the number. */
char vx_role_number(char *text, size_t size, const vx_naming *naming, const char *prefix,
                    vx_role role);

/* A name written out: '*' and '#' replaced, up to the end or to '|'. Returns text. */
const char *vx_write_name(char *text, size_t size, const char *name, const char *prefix, int block);

/* The tensor under the first of a role's names that the file has, whatever its shape; or NULL. */
const vx_tensor *vx_role_find(const vx_container *c, const vx_naming *naming, const char *prefix,
                              vx_role role, int block);

/* How many characters a key has before one of a role's names, up to a '.' or the key's beginning;
 * -1 if it does not end in one. */
int vx_role_behind(const char *key, const vx_naming *naming, const char *prefix, vx_role role);

/* One role's tensor, marked as used and of the shape that arch asks for; *out NULL where the model
 * has none, which is an error if it is `required` and the naming knows it. */
int vx_role_take(const vx_tensor **out, vx_reader *r, vx_role role, int block, bool required);

/* A size from 1 to `most` that a role's tensor has in dimension `at`; `what` names it. */
int vx_role_size(int *out, const vx_reader *r, vx_role role, int block, int at, int most,
                 const char *what);

/* Fails for want of a role's tensor. */
int vx_role_missing(const vx_reader *r, vx_role role, int block);

/* Whether a tensor is on a naming's list of harmless ones (vx_naming.harmless). */
bool vx_harmless(const char *name, const char *const *list, const char *prefix);

#endif
