/*
 * engine/prefixes.h: texts that begin alike.
 *
 * Where a token sees only those before it, what a tower makes of the first tokens of a text does
 * not depend on what follows. So tokens that several texts have in common at their beginnings ("a
 * photo of a ...") are run once: they are one row of all layers, and the attention alone sees each
 * text whole.
 */
#ifndef VX_ENGINE_PREFIXES_H
#define VX_ENGINE_PREFIXES_H

/* Of the sequences of a vx_pass with starts and lasts. Host memory. */
typedef struct vx_prefixes {
    int rows;      /* that are run: U */
    int *row_of;   /* [starts[batch]] which of them each token of the sequences is */
    int *token_of; /* [U] a token that each row is: an index of row_of */
    int *lasts;    /* [batch] the row of each sequence's last token */
} vx_prefixes;

#endif
