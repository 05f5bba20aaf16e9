/*
 * model/config.h: the JSON files beside the weights, and typed reads from them.
 *
 * timm's config.json holds "pretrained_cfg" (in old files its members stand at the top) and
 * "model_args"; Hugging Face's holds everything at the top and leaves the pictures to
 * preprocessor_config.json, or, of models that read texts, too, to "image_processor" of
 * processor_config.json. open_clip's has "model_cfg" and "preprocess_cfg". Any of it may be
 * missing.
 */
#ifndef VX_MODEL_CONFIG_H
#define VX_MODEL_CONFIG_H

#include "base/file.h"
#include "base/json.h"

typedef struct vx_config {
    char *config_path, *preprocessor_path, *processor_path, *open_clip_path; /* for messages    */
    vx_json *config, *preprocessor, *processor, *open_clip; /* roots; NULL: no such file        */
    const vx_json *pretrained;      /* in config: timm's pretrained_cfg, or the root  */
    const vx_json *model_args;      /* in config; NULL: none                          */
    const vx_json *image_processor; /* in processor; NULL: none                       */
} vx_config;

/* Reads config.json, preprocessor_config.json, processor_config.json and open_clip_config.json of a
 * folder. Dispose of it also after a failure. */
int vx_config_open(vx_config *out, vx_shelf shelf, const char *folder, const vitx_hooks *hooks);
void vx_config_dispose(vx_config *config, const vitx_hooks *hooks);

/* Members of an object. Absent or null: VITX_OK, *out stays as it was and *found (which may be
 * NULL) false. Of another type, or outside low..high: VITX_FORMAT naming file and key. */
int vx_config_int(int *out, bool *found, const vx_json *object, const char *key, int low, int high,
                  const char *path);
int vx_config_number(double *out, bool *found, const vx_json *object, const char *key, double low,
                     double high, const char *path);
int vx_config_bool(bool *out, bool *found, const vx_json *object, const char *key,
                   const char *path);
int vx_config_string(const char **out, bool *found, const vx_json *object, const char *key,
                     const char *path);
/* A size: one number for both, [height, width], or {"height", "width"}. */
int vx_config_size(int *height, int *width, bool *found, const vx_json *object, const char *key,
                   const char *path);
/* Three numbers, or one for all three. */
int vx_config_rgb(float out[3], bool *found, const vx_json *object, const char *key, double low,
                  double high, const char *path);

#endif
