/* serve/tensors.c: see tensors.h. */
#include "tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIMS = 4, SIDE_MOST = 65535, DEPTH_MOST = 8, HEADER_ROOM = 32 };

struct tensor {
    int shape[DIMS], dims;
    const struct json *data;  /* NULL: raw */
    const unsigned char *raw; /* [bytes]   */
    size_t bytes;
};

static bool read_shape(struct tensor *t, const struct json *shape, struct problem *why)
{
    t->dims = 0;
    for (const struct json *i = json_first(shape); i; i = json_next(i)) {
        double side;
        if (t->dims == DIMS || !json_number(&side, i) || !(side >= 1 && side <= SIDE_MOST) ||
            side != (int)side)
            return refuse(why, 400, "bad_shape", NULL, "the shape is none of a picture");
        t->shape[t->dims++] = (int)side;
    }
    return t->dims > 0 || refuse(why, 400, "bad_shape", NULL, "an input has no shape");
}

static bool read_data(struct tensor *t, const struct json *input, const unsigned char **raw,
                      size_t *left, struct problem *why)
{
    double size;
    t->data = json_get(input, "data");
    if (t->data)
        return true;
    if (!json_number(&size, json_get(json_get(input, "parameters"), "binary_data_size")) ||
        !(size >= 0 && size <= (double)*left) || size != (double)(size_t)size)
        return refuse(why, 400, "bad_data", NULL, "an input has no data");
    t->raw = *raw;
    t->bytes = (size_t)size;
    *raw += t->bytes;
    *left -= t->bytes;
    return true;
}

/* ------------------------------------------------------------------ files ------------------ */

static bool add_texts(struct group *group, const struct json *data, int depth, struct problem *why)
{
    if (json_kind(data) != JSON_LIST)
        return group_add_base64(group, json_string(data), why);
    if (depth == DEPTH_MOST)
        return refuse(why, 400, "bad_data", NULL, "data is nested too deeply");
    for (const struct json *i = json_first(data); i; i = json_next(i))
        if (!add_texts(group, i, depth + 1, why))
            return false;
    return true;
}

static bool add_files(struct group *group, const struct tensor *t, struct problem *why)
{
    size_t at = 0;
    while (at + 4 <= t->bytes) {
        const unsigned char *p = t->raw + at;
        const size_t n = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
        if (n > t->bytes - at - 4)
            break;
        void *picture = malloc(n + 1);
        if (picture)
            memcpy(picture, p + 4, n);
        if (!group_add(group, picture, n, why))
            return false;
        at += 4 + n;
    }
    return at == t->bytes ||
           refuse(why, 400, "bad_data", NULL, "the lengths in the raw data do not add up");
}

/* ------------------------------------------------------------------ pixels ----------------- */

/* Where values of a list go. */
struct values {
    float *to; /* [room] */
    size_t count, room;
};

static bool take_values(struct values *v, const struct json *data, int depth)
{
    double number;
    if (json_kind(data) == JSON_LIST) {
        for (const struct json *i = json_first(data); i && depth < DEPTH_MOST; i = json_next(i))
            if (!take_values(v, i, depth + 1))
                return false;
        return depth < DEPTH_MOST;
    }
    if (!json_number(&number, data) || v->count == v->room)
        return false;
    v->to[v->count++] = (float)number;
    return true;
}

static float raw_value(const unsigned char *raw, size_t i, bool floats)
{
    float value;
    if (!floats)
        return raw[i];
    const uint32_t bits = raw[4 * i] | (uint32_t)raw[4 * i + 1] << 8 |
                          (uint32_t)raw[4 * i + 2] << 16 | (uint32_t)raw[4 * i + 3] << 24;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool read_values(struct values *v, const struct tensor *t, bool floats, struct problem *why)
{
    const size_t width = floats ? 4 : 1;
    bool good = true;
    if (t->data)
        good = take_values(v, t->data, 0) && v->count == v->room;
    else if ((good = t->bytes == v->room * width))
        for (v->count = 0; v->count < v->room; v->count++)
            v->to[v->count] = raw_value(t->raw, v->count, floats);
    return good ||
           refuse(why, 400, "bad_data", NULL, "the data is not as many numbers as the shape says");
}

/* One picture as a PPM. */
static bool add_pixels(struct group *group, const float *values, int height, int width, bool floats,
                       struct problem *why)
{
    const size_t pixels = (size_t)height * (size_t)width;
    unsigned char *file = malloc(pixels * 3 + HEADER_ROOM);
    if (!file)
        return group_add(group, NULL, 0, why);
    const size_t head =
        (size_t)snprintf((char *)file, HEADER_ROOM, "P6\n%d %d\n255\n", width, height);
    for (size_t i = 0; i < pixels * 3; i++) {
        const size_t from = floats ? i % 3 * pixels + i / 3 : i;
        const float value = floats ? values[from] * 255 : values[from];
        if (!(value >= 0 && value <= 255)) {
            free(file);
            return refuse(why, 422, "bad_data", "the server normalises, by the model's recipe",
                          "pixels go from 0 to %s", floats ? "1" : "255");
        }
        file[head + i] = (unsigned char)(value + 0.5F);
    }
    return group_add(group, file, head + pixels * 3, why);
}

static bool add_tensor(struct group *group, struct tensor *t, bool floats, size_t most,
                       struct problem *why)
{
    const int first = t->dims == 4; /* 3 dimensions: one picture */
    const int *s = t->shape + first, count = first ? t->shape[0] : 1;
    const int height = floats ? s[1] : s[0], width = floats ? s[2] : s[1];
    if (t->dims < 3 || (floats ? s[0] : s[2]) != 3)
        return refuse(why, 400, "bad_shape", NULL, "the shape of %s is %s",
                      floats ? "FP32" : "UINT8", floats ? "[N,3,H,W]" : "[N,H,W,3]");
    const size_t each = (size_t)height * (size_t)width * 3;
    /* A number takes at least a byte of the body. */
    if (count > TICKETS_MOST || each > most / (size_t)count)
        return refuse(why, 400, "bad_shape", NULL,
                      "the shape is larger than the data, or has more "
                      "than %d pictures",
                      TICKETS_MOST);
    struct values values = {.room = each * (size_t)count};
    values.to = malloc(values.room * sizeof *values.to);
    bool good = values.to ? read_values(&values, t, floats, why)
                          : refuse(why, 503, "no_memory", NULL, "no memory");
    for (int i = 0; good && i < count; i++)
        good = add_pixels(group, values.to + (size_t)i * each, height, width, floats, why);
    free(values.to);
    return good;
}

/* ------------------------------------------------------------------ an input --------------- */

bool tensor_pictures(struct group *group, const struct json *input, const unsigned char **raw,
                     size_t *left, struct problem *why)
{
    const char *type = json_string(json_get(input, "datatype"));
    struct tensor t = {.dims = 0};
    if (!read_shape(&t, json_get(input, "shape"), why) || !read_data(&t, input, raw, left, why))
        return false;
    if (type && strcmp(type, "UINT8") == 0)
        return add_tensor(group, &t, false, t.data ? group->most : t.bytes, why);
    if (type && strcmp(type, "FP32") == 0)
        return add_tensor(group, &t, true, t.data ? group->most : t.bytes, why);
    if (!type || strcmp(type, "BYTES") != 0)
        return refuse(why, 400, "bad_type", NULL,
                      "the datatype of a picture is BYTES, UINT8 or FP32");
    if (!(t.data ? add_texts(group, t.data, 0, why) : add_files(group, &t, why)))
        return false;
    size_t count = 1;
    for (int i = 0; i < t.dims; i++)
        count = count > TICKETS_MOST ? count : count * (size_t)t.shape[i];
    return count == (size_t)group->count ||
           refuse(why, 400, "bad_shape", NULL,
                  "the data has not as many pictures as the shape says");
}
