/* serve/name.h: names that nobody guesses. */
#ifndef CLI_SERVE_NAME_H
#define CLI_SERVE_NAME_H

#include <stdbool.h>

enum { NAME_ROOM = 33 }; /* 128 random bits in hexadecimal digits, ended by '\0' */

/* false: the system gives no random numbers. */
bool make_name(char out[NAME_ROOM]);

#endif
