/* explain/settings.h: "key=value" options of a method or a metric. */
#ifndef VX_EXPLAIN_SETTINGS_H
#define VX_EXPLAIN_SETTINGS_H

#include <stdbool.h>

#include <vitx/explain.h>

#include "kernels/device.h"

/* Who has which options, and what the caller set of them. Nothing here is owned. */
typedef struct vx_settings {
    const char *owner;                 /* "rollout": the name in messages */
    const vitx_method_option *options; /* [count] */
    int count;
    const char *const *set; /* [set_count] "key=value"; the last of a key counts */
    int set_count;
} vx_settings;

/* VITX_INVALID unless all that was set is key=value with keys that the owner has. Messages call the
 * owner a `what` ("method"). */
int vx_settings_check(const vx_settings *given, const char *what);
/* The value of an option: what was set last, else its default. Unknown keys were refused before. */
const char *vx_setting(const vx_settings *given, const char *key);
/* The value as a number within low..high; as one of the words of the option's `values`
 * ("a|b|c"). */
int vx_setting_number(double *out, const vx_settings *given, const char *key, double low,
                      double high);
int vx_setting_int(int *out, const vx_settings *given, const char *key, int low, int high);
/* A block from 0 to `last`, or below 0 counted from behind: -1 is the last of `depth`. */
int vx_setting_block(int *out, const vx_settings *given, const char *key, int last, int depth);
int vx_setting_choice(int *out, const vx_settings *given, const char *key);
/* Whether the value is "auto". */
bool vx_setting_is_auto(const vx_settings *given, const char *key);

/* How heads are fused: an option whose values are "mean|max|min". */
int vx_setting_fuse(vx_fuse *out, const vx_settings *given);
/* clang-format off */
#define VX_OPTION_FUSE                                                                             \
    { "fuse", "mean", "mean|max|min", "how heads are fused, if --head chooses none" }
/* clang-format on */

/* The share of smallest values that a rollout sets to 0: from 0 to below 1. */
int vx_setting_discard(double *out, const vx_settings *given);
#define VX_OPTION_DISCARD                                                                          \
    {                                                                                              \
        "discard", "0", "0 to below 1",                                                            \
            "share of the smallest values that are set to 0 in each block"                         \
    }

#endif
