/*
 * serve/together.h: which asks may share one run of the network: their maps are, bit by bit, those
 * of runs alone.
 */
#ifndef CLI_SERVE_TOGETHER_H
#define CLI_SERVE_TOGETHER_H

#include "asked.h"

/* Of one picture, in a context of one thread on a CPU. What they cost together is not looked at:
 * the caller bounds it. */
bool asks_agree(const struct ask *a, const struct ask *b);

#endif
