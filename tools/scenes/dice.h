/*
 * scenes/dice.h: the chances of one scene.
 *
 * A sequence of SplitMix64 (Steele, Lea & Flood 2014), started with a seed and a place, and its use
 * in +, -, *, / alone: the same on every machine. The order of the calls is part of a scene: C does
 * not order the arguments of a function, so no two rolls stand in one call's arguments.
 */
#ifndef SCENES_DICE_H
#define SCENES_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

/* Different (seed, place) give unrelated sequences. */
struct dice dice_start(uint64_t seed, uint64_t place);

uint64_t dice_bits(struct dice *dice);
double dice_in(struct dice *dice, double low, double high); /* evenly in [low,high) */
int dice_below(struct dice *dice, int n);                   /* 0..n-1, n >= 1       */
bool dice_chance(struct dice *dice, double probability);

#endif
