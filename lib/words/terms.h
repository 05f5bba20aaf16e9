/*
 * words/terms.h: what the vectors of texts depend on, as a hash: the text tower's weights, what its
 * files say beside them, the device and its precision, and the texts with their ids.
 */
#ifndef VX_WORDS_TERMS_H
#define VX_WORDS_TERMS_H

#include "base/sha256.h"
#include "words/words.h"

/* All but the texts. Reads the weight files once, if nobody has done so yet. */
int vx_terms_begin(vx_sha256 *hash, const vitx_texts *t);
int vx_terms_add(vx_sha256 *hash, const vitx_texts *t, const char *const *list, int n);

#endif
