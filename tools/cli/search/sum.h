/* search/sum.h: a checksum of 64 bits that is as fast as memory. It finds what was torn, cut short
 * or flipped, and not what was made to deceive. */
#ifndef CLI_SEARCH_SUM_H
#define CLI_SEARCH_SUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t sum_of(const void *data, size_t bytes);

#endif
