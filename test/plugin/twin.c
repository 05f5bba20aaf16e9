/*
 * test/plugin/twin.c: the host twin (docs/cuda.md) as a plug-in of the device "cuda", so that what
 * tests do on a GPU (VX_TEST_CUDA) is tried on machines that have none.
 *
 * The twin reads all memory of the process, a GPU does not: this plug-in ends the process if an
 * operation is given an array of the stack or a static one of the program.
 */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include "kernels/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const vx_device_class vx_device_cuda_host;
extern vx_plugin_entry vitx_device_plugin;

/* Members of the operations that are host memory: lists of numbers, or structs with pointers. */
#define LIST(name, member) {#name, offsetof(vx_##name, member), 0}
#define STRUCT(name, member)                                                                       \
    {#name, offsetof(vx_##name, member), sizeof *((vx_##name *)0)->member}
/* clang-format off */
static const struct host_member {
    const char *operation;
    size_t at, bytes; /* of the struct, 0 for a list */
} host_members[] = {
    STRUCT(linear, w),
    STRUCT(linear_bwd, w),
    STRUCT(patch_embed, w),
    STRUCT(patch_embed_bwd, w),
    STRUCT(attn_fuse, record),
    STRUCT(attn_row, record),
    STRUCT(resample, pictures), /* the first of them */
    LIST(rotate, tokens_of),
    LIST(attention, starts),
    LIST(attention, tokens_of),
    LIST(attention_replaced, channels),
    LIST(mean_tokens, starts),
    LIST(replace_channels, channels),
    LIST(gather_rows, from),
    LIST(add_weighted, weights),
    LIST(blend, values),
    LIST(blend, masks.shifts),
    LIST(mask_range, masks.shifts),
    LIST(add_masks, weights),
    LIST(add_masks, masks.shifts),
};
/* clang-format on */
#undef STRUCT
#undef LIST

enum { MOST_RANGES = 16 };
static struct range {
    unsigned long first, end;
} ranges[MOST_RANGES];
static int range_count;

/* The stack, and the program's file with its static memory. */
static void find_ranges(void)
{
    char line[600], *program = NULL;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps) && range_count < MOST_RANGES) {
        struct range *r = &ranges[range_count];
        char *name = strchr(line, '/');
        if (name && !program)
            program = strdup(name); /* the first file is the program's */
        const int static_memory = name && program && strcmp(name, program) == 0;
        if (static_memory || strstr(line, "[stack]"))
            range_count += sscanf(line, "%lx-%lx", &r->first, &r->end) == 2;
    }
    free(program);
    if (maps)
        fclose(maps);
}

static const struct host_member *host_member_at(const char *operation, size_t at)
{
    for (size_t i = 0; i < sizeof host_members / sizeof *host_members; i++)
        if (host_members[i].at == at && strcmp(host_members[i].operation, operation) == 0)
            return &host_members[i];
    return NULL;
}

static void look(const char *operation, const void *arguments, size_t bytes);

static void look_at(const char *operation, size_t at, uintptr_t word)
{
    const struct host_member *host = host_member_at(operation, at);
    if (host && word) {
        look("a struct of the host", (const void *)word, host->bytes);
        return;
    }
    for (int i = 0; i < range_count; i++)
        if (word >= ranges[i].first && word < ranges[i].end) {
            fprintf(stderr, "%s was given memory that no GPU reads, %zu bytes into its struct\n",
                    operation, at);
            abort();
        }
}

/* Any word that is an address there counts as one. */
static void look(const char *operation, const void *arguments, size_t bytes)
{
    for (size_t at = 0; at + sizeof(uintptr_t) <= bytes; at += sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, (const char *)arguments + at, sizeof word);
        look_at(operation, at, word);
    }
}

static vx_ops own;
#define VX_OP(name)                                                                                \
    static void look_##name(vx_device *dev, const vx_##name *a)                                    \
    {                                                                                              \
        look(#name, a, sizeof *a);                                                                 \
        own.name(dev, a);                                                                          \
    }
#include "kernels/ops.def"
#undef VX_OP

static int open_twin(vx_device **out, const vx_device_env *env, const char *precision,
                     unsigned features, char *err, size_t err_size)
{
    const int failed = vx_device_cuda_host.open(out, env, precision, features, err, err_size);
    if (failed)
        return failed;
    own = (*out)->ops;
#define VX_OP(name) (*out)->ops.name = look_##name;
#include "kernels/ops.def"
#undef VX_OP
    return 0;
}

/* Called under a lock. */
__attribute__((visibility("default"))) const vx_device_class *vitx_device_plugin(uint64_t abi)
{
    static vx_device_class twin;
    if (abi != vx_plugin_abi())
        return NULL;
    find_ranges();
    twin = vx_device_cuda_host;
    twin.name = "cuda";
    twin.open = open_twin;
    return &twin;
}
