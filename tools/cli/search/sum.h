/* search/sum.h: a checksum that is as fast as memory, of 64 bits. Not for those who want to deceive:
 * it finds what was torn, cut short or flipped. */
#ifndef CLI_SEARCH_SUM_H
#define CLI_SEARCH_SUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t sum_of(const void *data, size_t bytes);

#endif
