/* explain/basis.h: the inside of a basis, for the method features. */
#ifndef VX_EXPLAIN_BASIS_H
#define VX_EXPLAIN_BASIS_H

#include <vitx/explain.h>

#include "explain/components.h"

struct vitx_basis {
    vitx_hooks hooks;
    const vitx_model *model; /* compared, never read */
    int layer;
    vx_moments moments; /* until it is finished */
    bool finished;
    vx_components components;
    int wanted; /* components that were asked for */
};

#endif
