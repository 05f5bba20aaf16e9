/* model/classifier.h: a classifier under a name of its own. */
#ifndef VX_MODEL_CLASSIFIER_H
#define VX_MODEL_CLASSIFIER_H

#include "model/family.h"

/* Where a file lacks the classifier that the naming has, and one matrix is left that can be no
 * other, that matrix and its bias get the classifier's keys. VITX_UNSUPPORTED names the matrices
 * where there are several. */
int vx_classifier_find(vx_match *match, vx_hints *hints, vx_container *container);

#endif
