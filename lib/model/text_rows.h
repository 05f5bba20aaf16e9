/* model/text_rows.h: the rows of a text tower's tables, read where they lie. */
#ifndef VX_MODEL_TEXT_ROWS_H
#define VX_MODEL_TEXT_ROWS_H

#include "model/text.h"

/* What vx_text_row keeps at hand: of the tokens, which lie in the file, some that were read last; of
 * the positions all. */
typedef struct vx_text_rows vx_text_rows;
#define VX_TEXT_KEPT 4096              /* tokens, at most */
#define VX_TEXT_KEPT_BYTES (16u << 20) /* about */

/* Reads positions and types. rules, width and vocabulary of the model are known. */
int vx_text_rows_open(vx_text_rows **out, const vx_text_model *m);
void vx_text_rows_close(vx_text_rows *rows); /* accepts NULL */

#endif
