/* cli/numbers.h: what a model answers as JSON, the same in every command: classify, embed, batch,
 * serve. */
#ifndef CLI_NUMBERS_H
#define CLI_NUMBERS_H

#include <vitx/vitx.h>

#include "text.h"

/* "predictions":[{"index","label","probability","logit"}], best first; fewer than k if an index
 * is -1. probable false: probability is null. */
void put_predictions(struct text *out, const vitx_prediction *top, int k, bool probable);
/* "embedding":[..] */
void put_embedding(struct text *out, const float *values, int count);

#endif
