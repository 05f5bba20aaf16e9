/*
 * test/little_model.h: small random Vision Transformers in timm's names, made where they are
 * needed: of any number of classes, with a head of any size. Pictures are 16 x 16, patches 4 x 4.
 */
#ifndef VX_TEST_LITTLE_MODEL_H
#define VX_TEST_LITTLE_MODEL_H

#include <stdbool.h>
#include <vitx/vitx.h>

typedef struct little_model {
    int width, classes; /* 0: 16 and 3 */
    int hidden;         /* 0: twice the width */
    float head;         /* the head's weights are of this size, its bias is 0; 0: as they come */
    bool zero_head;     /* its weights and bias are 0 */
    bool equal_rows;    /* its classes are all the first one */
    const char *told_classes; /* num_classes in config.json; NULL: classes */
    const char
        *more; /* members of config.json behind the usual ones, as "\"problem_type\":\"x\"" */
    const char *config; /* the whole text of config.json; "": no such file; NULL: the usual one */
    unsigned seed;
} little_model;

/* The folder, in malloc'ed memory: remove_folder and free. */
char *make_little_model(const little_model *what);
/* A picture of 16 x 16 pixels. */
vitx_image *little_picture(unsigned seed);

#endif
