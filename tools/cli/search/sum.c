/* search/sum.c: see sum.h. Eight sums beside each other, each of every eighth word: a step is
 * (sum ^ word) * an odd number, so a word that has changed always changes its sum. */
#include "sum.h"

#include <string.h>

enum { SUMS = 8 };
#define ODD UINT64_C(0x9E3779B97F4A7C15)

uint64_t sum_of(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint64_t sums[SUMS], words[SUMS] = {0}, all = bytes;
    for (int k = 0; k < SUMS; k++)
        sums[k] = ODD + (uint64_t)k;
    for (; bytes >= sizeof words; p += sizeof words, bytes -= sizeof words) {
        memcpy(words, p, sizeof words);
        for (int k = 0; k < SUMS; k++)
            sums[k] = (sums[k] ^ words[k]) * ODD;
    }
    memset(words, 0, sizeof words);
    if (bytes > 0)
        memcpy(words, p, bytes);
    for (int k = 0; k < SUMS; k++) {
        sums[k] = (sums[k] ^ words[k]) * ODD;
        all = (all ^ sums[k] ^ sums[k] >> 32) * ODD;
    }
    return all ^ all >> 32;
}
