/* model/config.c: see config.h. */
#include "model/config.h"

#include "base/file.h"

#define MAX_CONFIG ((size_t)1 << 24) /* 21,000 classes with their names take 1 MB */
#define MAX_VALUES ((size_t)1 << 20)
#define MAX_SIDE 65535

static int load(vx_json **out, char **path, vx_shelf shelf, const char *folder, const char *name,
                const vitx_hooks *hooks)
{
    char *text = NULL;
    size_t bytes;
    VX_TRY(vx_path_join(path, hooks, folder, name));
    if (!vx_path_exists_in(shelf, *path))
        return VITX_OK;
    VX_TRY(vx_file_load_in(&text, &bytes, shelf, *path, MAX_CONFIG, hooks));
    int status = vx_json_parse(out, text, bytes, *path, MAX_VALUES);
    vx_release(hooks, text);
    if (status == VITX_OK && !vx_json_is_object(*out))
        status = vx_fail_in(VITX_FORMAT, *path, "no object");
    return status;
}

/* The member, which has to be an object; NULL where it is absent or null. */
static int want_object(const vx_json **out, const vx_json *object, const char *key,
                       const char *path)
{
    *out = vx_json_get(object, key);
    if (vx_json_is_null(*out))
        *out = NULL;
    if (*out && !vx_json_is_object(*out))
        return vx_fail_in(VITX_FORMAT, path, "%s is no object", key);
    return VITX_OK;
}

/* Names of networks, where they are, are strings: an ignored one would leave the tensors to
 * guesses. */
static int check_names(const vx_config *c)
{
    const char *name = NULL;
    const vx_json *classes = vx_json_get(c->config, "architectures"),
                  *cfg = vx_json_get(vx_json_get(c->open_clip, "model_cfg"), "vision_cfg");
    VX_TRY(vx_config_string(&name, NULL, c->config, "architecture", c->config_path));
    VX_TRY(vx_config_string(&name, NULL, c->pretrained, "architecture", c->config_path));
    VX_TRY(vx_config_string(&name, NULL, c->config, "model_type", c->config_path));
    VX_TRY(vx_config_string(&name, NULL, cfg, "timm_model_name", c->open_clip_path));
    if (!classes || vx_json_is_null(classes))
        return VITX_OK;
    if (!vx_json_is_array(classes) ||
        (vx_json_size(classes) && !vx_json_string(vx_json_first(classes))))
        return vx_fail_in(VITX_FORMAT, c->config_path, "architectures is no list of names");
    return VITX_OK;
}

int vx_config_open(vx_config *out, vx_shelf shelf, const char *folder, const vitx_hooks *hooks)
{
    *out = (vx_config){0};
    VX_TRY(load(&out->config, &out->config_path, shelf, folder, "config.json", hooks));
    VX_TRY(load(&out->preprocessor, &out->preprocessor_path, shelf, folder,
                "preprocessor_config.json", hooks));
    VX_TRY(
        load(&out->processor, &out->processor_path, shelf, folder, "processor_config.json", hooks));
    VX_TRY(
        load(&out->open_clip, &out->open_clip_path, shelf, folder, "open_clip_config.json", hooks));
    const vx_json *pretrained, *args, *nested, *unused, *model;
    VX_TRY(want_object(&pretrained, out->config, "pretrained_cfg", out->config_path));
    VX_TRY(want_object(&args, out->config, "model_args", out->config_path));
    VX_TRY(want_object(&unused, out->config, "vision_config", out->config_path));
    VX_TRY(want_object(&nested, out->processor, "image_processor", out->processor_path));
    VX_TRY(want_object(&model, out->open_clip, "model_cfg", out->open_clip_path));
    VX_TRY(want_object(&unused, model, "vision_cfg", out->open_clip_path));
    VX_TRY(want_object(&unused, out->open_clip, "preprocess_cfg", out->open_clip_path));
    out->image_processor = nested;
    out->pretrained = pretrained ? pretrained : out->config;
    out->model_args = args;
    return check_names(out);
}

void vx_config_dispose(vx_config *config, const vitx_hooks *hooks)
{
    vx_json_free(config->config);
    vx_json_free(config->preprocessor);
    vx_json_free(config->processor);
    vx_json_free(config->open_clip);
    vx_release(hooks, config->config_path);
    vx_release(hooks, config->preprocessor_path);
    vx_release(hooks, config->processor_path);
    vx_release(hooks, config->open_clip_path);
    *config = (vx_config){0};
}

/* The member, NULL where it is absent or null; says so in *found. */
static const vx_json *member(bool *found, const vx_json *object, const char *key)
{
    const vx_json *node = vx_json_get(object, key);
    if (vx_json_is_null(node))
        node = NULL;
    if (found)
        *found = node != NULL;
    return node;
}

int vx_config_int(int *out, bool *found, const vx_json *object, const char *key, int low, int high,
                  const char *path)
{
    const vx_json *node = member(found, object, key);
    int value;
    if (!node)
        return VITX_OK;
    if (!vx_json_int(node, &value) || value < low || value > high)
        return vx_fail_in(VITX_FORMAT, path, "%s is no whole number from %d to %d", key, low, high);
    *out = value;
    return VITX_OK;
}

int vx_config_number(double *out, bool *found, const vx_json *object, const char *key, double low,
                     double high, const char *path)
{
    const vx_json *node = member(found, object, key);
    double value;
    if (!node)
        return VITX_OK;
    if (!vx_json_number(node, &value) || !(value >= low && value <= high))
        return vx_fail_in(VITX_FORMAT, path, "%s is no number from %g to %g", key, low, high);
    *out = value;
    return VITX_OK;
}

int vx_config_bool(bool *out, bool *found, const vx_json *object, const char *key, const char *path)
{
    const vx_json *node = member(found, object, key);
    int number;
    if (!node || vx_json_bool(node, out))
        return VITX_OK;
    if (!vx_json_int(node, &number) || number < 0 || number > 1)
        return vx_fail_in(VITX_FORMAT, path, "%s is neither true nor false", key);
    *out = number;
    return VITX_OK;
}

int vx_config_string(const char **out, bool *found, const vx_json *object, const char *key,
                     const char *path)
{
    const vx_json *node = member(found, object, key);
    if (!node)
        return VITX_OK;
    if (!vx_json_string(node))
        return vx_fail_in(VITX_FORMAT, path, "%s is no string", key);
    *out = vx_json_string(node);
    return VITX_OK;
}

static bool side(int *out, const vx_json *node)
{
    int value;
    if (!vx_json_int(node, &value) || value < 1 || value > MAX_SIDE)
        return false;
    *out = value;
    return true;
}

int vx_config_size(int *height, int *width, bool *found, const vx_json *object, const char *key,
                   const char *path)
{
    const vx_json *node = member(found, object, key);
    int h, w;
    bool good = false;
    if (!node)
        return VITX_OK;
    if (vx_json_is_array(node)) {
        const vx_json *first = vx_json_first(node);
        good = vx_json_size(node) == 2 && side(&h, first) && side(&w, vx_json_next(first));
    } else if (vx_json_is_object(node)) {
        good = side(&h, vx_json_get(node, "height")) && side(&w, vx_json_get(node, "width"));
    } else if ((good = side(&h, node))) {
        w = h;
    }
    if (!good)
        return vx_fail_in(VITX_FORMAT, path, "%s is no size of 1 to %d pixels", key, MAX_SIDE);
    *height = h;
    *width = w;
    return VITX_OK;
}

int vx_config_rgb(float out[3], bool *found, const vx_json *object, const char *key, double low,
                  double high, const char *path)
{
    const vx_json *node = member(found, object, key);
    double v[3];
    if (!node)
        return VITX_OK;
    const bool array = vx_json_is_array(node);
    const int size = array ? vx_json_size(node) : 1;
    bool good = size == 1 || size == 3;
    const vx_json *item = array ? vx_json_first(node) : node;
    for (int i = 0; i < 3 && good; i++) {
        good = vx_json_number(item, &v[i]) && v[i] >= low && v[i] <= high;
        if (size == 3)
            item = vx_json_next(item);
    }
    if (!good)
        return vx_fail_in(VITX_FORMAT, path, "%s is not three numbers from %g to %g", key, low,
                          high);
    for (int i = 0; i < 3; i++)
        out[i] = (float)v[i];
    return VITX_OK;
}
