/* model/labels.h: the names of the classes. */
#ifndef VX_MODEL_LABELS_H
#define VX_MODEL_LABELS_H

#include "model/config.h"

typedef struct vx_labels {
    char **names; /* [count]; an entry may be NULL */
    int count;    /* the model's classes, or 0: no class has a name */
} vx_labels;

/* From a file: one name a line, or JSON (an array; an object from number to name or from name to
 * number; a config.json with id2label or label2id; an object of arrays, of which the one with
 * `classes` names is taken). A WordNet id before a name is dropped. Their number must be that of
 * the classes. */
int vx_labels_load(vx_labels *out, vx_shelf shelf, const char *path, int classes,
                   const vitx_hooks *hooks);

/* From config.json: id2label, or timm's label_names with label_descriptions. What does not fit the
 * classes is left out, with a warning in the log. Fails for want of memory only. */
int vx_labels_from_config(vx_labels *out, const vx_config *config, int classes,
                          const vitx_hooks *hooks);

void vx_labels_dispose(vx_labels *labels, const vitx_hooks *hooks);

/* What vitx_model_find_label does; `path` of the model for messages. */
int vx_labels_find(int *out, const vx_labels *labels, int classes, const char *text,
                   const char *path);

#endif
