/* serve/media.h: kinds of content: what a client takes, what it sends. */
#ifndef CLI_SERVE_MEDIA_H
#define CLI_SERVE_MEDIA_H

#include <stdbool.h>
#include <stddef.h>

/* Which of types [count] a client that sends this Accept likes best, the first of equals; NULL:
 * it sends none. -1: none of them. */
int media_choose(const char *accept, const char *const *types, int count);

/* Whether the type before any ';' of a Content-Type is this. */
bool media_is(const char *content_type, const char *type);

#endif
