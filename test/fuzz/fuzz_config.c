/*
 * What lies beside the weights: config.json (or open_clip's, or the index of shards),
 * preprocessor_config.json, processor_config.json and a file of labels, with a zero byte between
 * them. The first byte chooses the weights, seeds of the other targets; what is empty is not there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

static const struct {
    const char *seed, *file, *config; /* the names under which they lie there */
} weights[] = {
    {"safetensors/timm", "model.safetensors", "config.json"},
    {"safetensors/hf", "model.safetensors", "config.json"},
    {"safetensors/deit", "model.safetensors", "config.json"},
    {"npz/original", "weights.npz", "config.json"},
    {"safetensors/clip", "model.safetensors", "config.json"},
    {"safetensors/siglip", "model.safetensors", "config.json"},
    {"safetensors/open-clip", "open_clip_model.safetensors", "open_clip_config.json"},
    {"safetensors/dinov2", "model.safetensors", "config.json"},
    {"safetensors/timm", "shard.safetensors", "model.safetensors.index.json"},
    {"safetensors/text-clip", "model.safetensors", "config.json"},
    {"safetensors/text-siglip", "model.safetensors", "config.json"},
    {"safetensors/text-bert", "model.safetensors", "config.json"},
    {"safetensors/text-altclip", "model.safetensors", "config.json"},
    {"safetensors/text-open-clip", "open_clip_model.safetensors", "open_clip_config.json"},
};
enum { WEIGHTS = sizeof weights / sizeof weights[0] };

/* The weights in the folder are those of the input before until another is chosen. */
static void place_weights(int choice)
{
    static int chosen = -1;
    static char data[1 << 16];
    static const char heads[] =
        "{\"model_args\": {\"num_heads\": 2}}"; /* where another says the rest */
    if (choice == chosen)
        return;
    char path[200];
    snprintf(path, sizeof path, "test/fuzz/corpus/%s", weights[choice].seed);
    FILE *f = fopen(path, "rb");
    const size_t size = f ? fread(data, 1, sizeof data, f) : 0;
    if (f)
        fclose(f);
    if (size == 0) {
        fprintf(stderr, "%s is missing: run this in the repository's root\n", path);
        abort();
    }
    const int npz = strncmp(weights[choice].seed, "npz", 3) == 0;
    for (int i = 0; i < WEIGHTS; i++) {
        unlink(fuzz_write(weights[i].file, "", 0));
        unlink(fuzz_write(weights[i].config, "", 0));
    }
    if (strcmp(weights[choice].config, "config.json") != 0)
        fuzz_write("config.json", heads, sizeof heads - 1);
    fuzz_write(weights[choice].file, data + npz, size - (size_t)npz);
    chosen = choice;
}

/* The next part, up to a zero byte, as a file; NULL where it is empty. */
static const char *place(const char *name, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *stop = *at < end ? memchr(*at, '\0', (size_t)(end - *at)) : NULL;
    if (!stop)
        stop = end;
    const char *path = fuzz_write(name, *at, (size_t)(stop - *at));
    const int empty = stop == *at;
    *at = stop < end ? stop + 1 : end;
    if (empty)
        unlink(path);
    return empty ? NULL : path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const uint8_t *at = data + 1, *const end = data + size;
    const int choice = data[0] % WEIGHTS;
    place_weights(choice);
    place(weights[choice].config, &at, end);
    place("preprocessor_config.json", &at, end);
    place("processor_config.json", &at, end);
    const char *labels = place("labels", &at, end);
    fuzz_model(fuzz_folder(), labels);
    return 0;
}
