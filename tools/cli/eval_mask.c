/* cli/eval_mask.c: see eval_mask.h. */
#include "eval_mask.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"

int parse_box(struct box *out, const char *text)
{
    long v[4];
    const char *p = text;
    for (int i = 0; i < 4; i++) {
        char *end;
        errno = 0;
        v[i] = isdigit((unsigned char)*p) ? strtol(p, &end, 10) : -1;
        if (v[i] < 0 || v[i] > 65535 || errno || *end != (i < 3 ? ',' : '\0'))
            return wrong_usage("--box is \"%s\", it takes x0,y0,x1,y1 in pixels of the picture",
                               text);
        p = end + 1;
    }
    *out = (struct box){(int)v[0], (int)v[1], (int)v[2], (int)v[3]};
    if (out->x1 <= out->x0 || out->y1 <= out->y0)
        return wrong_usage("--box %s: x1 and y1 must be larger than x0 and y0", text);
    return DONE;
}

static bool create(struct mask *out, int height, int width)
{
    *out = (struct mask){calloc((size_t)height * (size_t)width, 1), height, width};
    if (!out->inside)
        complain(NULL, "no memory");
    return out->inside != NULL;
}

bool mask_of_boxes(struct mask *out, const vitx_image *picture, const struct box *boxes, int count)
{
    if (!create(out, vitx_image_height(picture), vitx_image_width(picture)))
        return false;
    for (int i = 0; i < count; i++) {
        const struct box *b = &boxes[i];
        const int x1 = b->x1 < out->width ? b->x1 : out->width;
        for (int y = b->y0; y < b->y1 && y < out->height && b->x0 < x1; y++)
            memset(out->inside + (size_t)y * (size_t)out->width + b->x0, 1, (size_t)(x1 - b->x0));
    }
    return true;
}

bool mask_of_file(struct mask *out, const char *file, const struct common *common)
{
    vitx_image *image;
    struct common c = *common;
    c.window = (struct window){.high = 1}; /* of 16 bits, too, any number above 0 is inside ... */
    c.quiet = true;                        /* ... and of 8 bits a window is nothing to warn of */
    if (!image_load_beside(&image, file, &c))
        return false;
    const uint8_t *rgb = vitx_image_pixels(image);
    const bool created = create(out, vitx_image_height(image), vitx_image_width(image));
    for (size_t i = 0; created && i < (size_t)out->height * (size_t)out->width; i++)
        out->inside[i] = rgb[3 * i] || rgb[3 * i + 1] || rgb[3 * i + 2];
    vitx_image_free(image);
    return created;
}

void mask_free(struct mask *mask)
{
    free(mask->inside);
    *mask = (struct mask){0};
}
