/* scenes/dice.c: see dice.h. */
#include "dice.h"

static uint64_t mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct dice dice_start(uint64_t seed, uint64_t place)
{
    struct dice dice = {mixed(mixed(seed + 0x9e3779b97f4a7c15u) + place * 0x9e3779b97f4a7c15u)};
    return dice;
}

uint64_t dice_bits(struct dice *dice)
{
    dice->state += 0x9e3779b97f4a7c15u;
    return mixed(dice->state);
}

double dice_in(struct dice *dice, double low, double high)
{
    return low + (high - low) * ((double)(dice_bits(dice) >> 11) * 0x1p-53);
}

int dice_below(struct dice *dice, int n)
{
    return (int)((dice_bits(dice) >> 32) * (uint64_t)n >> 32);
}

bool dice_chance(struct dice *dice, double probability)
{
    return dice_in(dice, 0, 1) < probability;
}
