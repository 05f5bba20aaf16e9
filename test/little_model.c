/* test/little_model.c: see little_model.h. */
#include "little_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

enum { SIDE = 16, PATCH = 4, PATCHES = 16, MOST_FLOATS = 1 << 20 };

typedef struct writing {
    char header[8192];
    float *data;
    size_t at, count;
    rng random;
} writing;

/* A tensor of that shape (ended by 0): middle plus random numbers of that size. */
static void add(writing *w, const char *name, double middle, double size, ...)
{
    char shape[64] = "";
    size_t count = 1;
    va_list sides;
    va_start(sides, size);
    for (int side; (side = va_arg(sides, int)) > 0; count *= (size_t)side)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%d", shape[0] ? "," : "",
                 side);
    va_end(sides);
    ck_assert(w->count + count <= MOST_FLOATS);
    w->at +=
        (size_t)snprintf(w->header + w->at, sizeof w->header - w->at,
                         "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,"
                         "%zu]}",
                         w->count ? "," : "{", name, shape, 4 * w->count, 4 * (w->count + count));
    ck_assert(w->at < sizeof w->header);
    for (size_t i = 0; i < count; i++)
        w->data[w->count++] = (float)middle + (float)size * rng_normal(&w->random);
}

static void add_tensors(writing *w, const little_model *m, int d, int classes)
{
    const int f = m->hidden ? m->hidden : 2 * d;
    add(w, "cls_token", 0, 0.2f, 1, 1, d, 0);
    add(w, "pos_embed", 0, 0.2f, 1, 1 + PATCHES, d, 0);
    add(w, "patch_embed.proj.weight", 0, 0.2f, d, 3, PATCH, PATCH, 0);
    add(w, "patch_embed.proj.bias", 0, 0.2f, d, 0);
    add(w, "blocks.0.norm1.weight", 1, 0.2f, d, 0);
    add(w, "blocks.0.norm1.bias", 0, 0.2f, d, 0);
    add(w, "blocks.0.attn.qkv.weight", 0, 0.4f, 3 * d, d, 0);
    add(w, "blocks.0.attn.qkv.bias", 0, 0.2f, 3 * d, 0);
    add(w, "blocks.0.attn.proj.weight", 0, 0.4f, d, d, 0);
    add(w, "blocks.0.attn.proj.bias", 0, 0.2f, d, 0);
    add(w, "blocks.0.norm2.weight", 1, 0.2f, d, 0);
    add(w, "blocks.0.norm2.bias", 0, 0.2f, d, 0);
    add(w, "blocks.0.mlp.fc1.weight", 0, 0.4f, f, d, 0);
    add(w, "blocks.0.mlp.fc1.bias", 0, 0.2f, f, 0);
    add(w, "blocks.0.mlp.fc2.weight", 0, 0.4f, d, f, 0);
    add(w, "blocks.0.mlp.fc2.bias", 0, 0.2f, d, 0);
    add(w, "norm.weight", 1, 0.2f, d, 0);
    add(w, "norm.bias", 0, 0.2f, d, 0);
    const bool usual = m->head == 0 && !m->zero_head;
    add(w, "head.weight", 0, usual ? 0.8f : m->head, classes, d, 0);
    float *rows = w->data + w->count - (size_t)(classes * d);
    for (int i = d; i < classes * d && m->equal_rows; i++)
        rows[i] = rows[i % d];
    add(w, "head.bias", 0, usual && !m->equal_rows ? 0.2f : 0, classes, 0);
}

static void write_config(const char *path, const little_model *m, int width, int classes)
{
    char text[2048], number[16];
    snprintf(number, sizeof number, "%d", classes);
    snprintf(text, sizeof text,
             "{\"architecture\":\"vit_tiny_patch16_224\",\"num_classes\":%s,%s%s"
             "\"model_args\":{\"img_size\":16,\"embed_dim\":%d,\"depth\":1,\"num_heads\":2,"
             "\"patch_size\":4},\"pretrained_cfg\":{\"input_size\":[3,16,16],\"crop_mode\":"
             "\"squash\",\"crop_pct\":1.0,\"interpolation\":\"bicubic\",\"mean\":[0.5,0.5,0.5],"
             "\"std\":[0.5,0.5,0.5]}}",
             m->told_classes ? m->told_classes : number, m->more ? m->more : "", m->more ? "," : "",
             width);
    write_file(path, m->config ? m->config : text, strlen(m->config ? m->config : text));
}

char *make_little_model(const little_model *m)
{
    const int width = m->width ? m->width : 16, classes = m->classes ? m->classes : 3;
    writing *w = calloc(1, sizeof *w);
    char path[1024], *folder = make_folder();
    w->data = malloc(MOST_FLOATS * sizeof(float));
    w->random.state = m->seed + 1;
    add_tensors(w, m, width, classes);
    w->header[w->at++] = '}';
    const uint64_t header = w->at;
    const size_t bytes = 8 + w->at + w->count * sizeof(float);
    char *file = malloc(bytes);
    memcpy(file, &header, 8);
    memcpy(file + 8, w->header, w->at);
    memcpy(file + 8 + w->at, w->data, w->count * sizeof(float));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    write_file(path, file, bytes);
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (!m->config || m->config[0])
        write_config(path, m, width, classes);
    free(file);
    free(w->data);
    free(w);
    return folder;
}

vitx_image *little_picture(unsigned seed)
{
    uint8_t rgb[3 * SIDE * SIDE];
    rng r = {seed + 1};
    vitx_image *image;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, SIDE, SIDE, 0, NULL));
    return image;
}
