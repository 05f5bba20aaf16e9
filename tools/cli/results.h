/* cli/results.h: what goes to standard output. */
#ifndef CLI_RESULTS_H
#define CLI_RESULTS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether standard output still takes what is written. */
bool output_works(void);

/* For vitx_render_write() and its like; what fails is said by main. */
int output_write(const void *data, size_t bytes, void *payload);

struct text;
/* Prints the text and frees it; complains if memory had run out. */
void print_text(struct text *text);
/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD; NULL becomes null. */
void json_text(const char *text);

const char *text_or(const char *text, const char *fallback);

#endif
