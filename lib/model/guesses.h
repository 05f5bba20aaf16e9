/* model/guesses.h: what no tensor and no file says of a model, and was taken all the same. */
#ifndef VX_MODEL_GUESSES_H
#define VX_MODEL_GUESSES_H

#include "model/model.h"

/* Writes them to model->guesses, "" if there are none, and says them in one warning. The recipe is
 * read. VITX_NOMEM. */
int vx_guesses_tell(vitx_model *model, const vx_hints *hints);

#endif
