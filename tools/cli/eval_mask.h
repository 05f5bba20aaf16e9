/* cli/eval_mask.h: where the object of a picture is, from --mask and --box. */
#ifndef CLI_EVAL_MASK_H
#define CLI_EVAL_MASK_H

#include "session.h"

struct box {
    int x0, y0, x1, y1; /* pixels of the picture; x1 and y1 are behind the last ones */
};

/* "x0,y0,x1,y1"; complains, WRONG_USAGE. */
int parse_box(struct box *out, const char *text);

struct mask {
    uint8_t *inside; /* [height,width] */
    int height, width;
};

/* The boxes of a picture, or (boxes NULL) the pixels of a mask file that are not black. Complains
 * where that fails. */
bool mask_of_boxes(struct mask *out, const vitx_image *picture, const struct box *boxes, int count);
bool mask_of_file(struct mask *out, const char *file, const struct common *common);
void mask_free(struct mask *mask);

#endif
