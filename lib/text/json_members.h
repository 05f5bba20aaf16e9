/* text/json_members.h: the members of a large JSON object, each as its own text; and what may stand
 * in a small one. */
#ifndef VX_TEXT_JSON_MEMBERS_H
#define VX_TEXT_JSON_MEMBERS_H

#include "base/json.h"
#include "text/pull.h"

typedef struct vx_part {
    const char *key;  /* what is looked for */
    const char *text; /* found: where its value lies; NULL if it is not there */
    size_t bytes;
} vx_part;

/* Finds the members of an object. VITX_FORMAT if one is there twice; VITX_UNSUPPORTED, naming it,
 * for one that is not looked for. `what` is the object's name for messages. */
int vx_parts_find(vx_part *members, int count, const char *text, size_t bytes,
                  const vitx_hooks *hooks, const char *name, const char *what);
/* Whether it is there and no null. */
bool vx_part_given(const vx_part *member);
/* As a tree, for a small one; NULL if it is not there. Free with vx_json_free. */
int vx_part_parse(vx_json **out, const vx_part *member, const char *name);

/* VITX_UNSUPPORTED, naming it, for a key that is none of `keys` (ended by NULL). `what` names the
 * object. */
int vx_json_only(const vx_json *object, const char *const *keys, const char *name,
                 const char *what);
/* A bool that may be missing or null. */
int vx_json_flag(bool *out, const vx_json *object, const char *key, bool missing, const char *name);

#endif
