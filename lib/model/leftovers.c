/* model/leftovers.c: see leftovers.h. */
#include "model/leftovers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/rotary.h"

static const char pixels[] = "mean and std of pixels";

/* Keys ('*': any characters, '?': one) and what such tensors are. */
static const struct {
    const char *pattern, *what;
    const char *beside; /* only where a key begins so, too; NULL: always */
    uint64_t most;      /* elements, at most; 0: any number */
} rows[] = {
    {"*num_batches_tracked", "counters", NULL, 1},
    {"*n_averaged", "counters", NULL, 1},
    {"*num_updates", "counters", NULL, 1},
    {"*step", "counters", NULL, 1},
    {"*epoch", "counters", NULL, 1},
    {"*decay", "counters", NULL, 1},
    {"*total_ops", "counters", NULL, 1}, /* of thop */
    {"*total_params", "counters", NULL, 1},
    {"*position_ids", "numbers of positions", NULL, 0},
    {"*relative_position_index", "numbers of positions", NULL, 0}, /* BEiT */
    {"*pixel_mean", pixels, NULL, 3},
    {"*pixel_std", pixels, NULL, 3},
    {"*image_mean", pixels, NULL, 3},
    {"*image_std", pixels, NULL, 3},
    {"*normalize.mean", pixels, NULL, 3},
    {"*normalize.std", pixels, NULL, 3},
    {"*normalizer.mean", pixels, NULL, 3},
    {"*normalizer.std", pixels, NULL, 3},
    {"*data_preprocessor.mean", pixels, NULL, 3},
    {"*data_preprocessor.std", pixels, NULL, 3},
    {"*new_mean", pixels, NULL, 3}, /* of robustness */
    {"*new_std", pixels, NULL, 3},
    {"mean", pixels, NULL, 3},
    {"std", pixels, NULL, 3},
    {"?.mean", pixels, NULL, 3}, /* the first of nn.Sequential */
    {"?.std", pixels, NULL, 3},
    {"*mask_token", "the token of masked patches", NULL, 0},
    {"*masked_embed", "the token of masked patches", NULL, 0},                      /* iBOT */
    {"decoder_*", "the decoder of its training", "decoder_pred.weight", 0},         /* MAE */
    {"decoder.*", "the decoder of its training", "decoder.decoder_pred.weight", 0}, /* MAE */
    {"neck.*", "the decoder of its training", "neck.decoder_pred.", 0},             /* MMPretrain */
    {"head.mlp.*", "the head of its training", "head.last_layer.", 0},              /* DINO */
    {"head.last_layer*", "the head of its training", NULL, 0},                      /* DINO */
    {"dino_head.*", "the head of its training", NULL, 0},                           /* DINOv2 */
    {"ibot_head.*", "the head of its training", NULL, 0},                           /* DINOv2 */
    {"head.?.*", "the head of its training", "momentum_encoder.", 0},               /* MoCo */
    {"predictor.*", "the head of its training", "momentum_encoder.", 0},            /* MoCo */
    {"momentum_encoder.*", "a copy that training keeps", NULL, 0},                  /* MoCo */
    {"ema.*", "a copy that training keeps", NULL, 0},
    {"model_ema.*", "a copy that training keeps", NULL, 0},
    {"ema_model.*", "a copy that training keeps", NULL, 0},
    {"module_ema.*", "a copy that training keeps", NULL, 0},
    {"criterion.*", "parts of a loss", NULL, 0},
    {"loss.*", "parts of a loss", NULL, 0},
    {"loss_fn.*", "parts of a loss", NULL, 0},
    {"*_loss.*", "parts of a loss", NULL, 0},
    {"*_loss_fn.*", "parts of a loss", NULL, 0},
    {"optimizer.*", "the state of an optimizer", NULL, 0},
};
#define ROWS (sizeof rows / sizeof rows[0])

/* '*': any characters, '?': one. The last '*' that was passed is all that has to be tried anew. */
static bool fits(const char *text, const char *pattern, const char *end)
{
    const char *star = NULL, *from = NULL;
    while (*text) {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            from = text;
        } else if (pattern < end && (*pattern == '?' || *pattern == *text)) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++from;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

static bool fits_all(const char *text, const char *pattern)
{
    return fits(text, pattern, pattern + strlen(pattern));
}

/* Whether a key begins so; they are sorted. */
static bool any_begins(const vx_container *c, const char *beginning)
{
    const size_t n = strlen(beginning);
    int low = 0, high = c->count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (strncmp(c->tensors[middle].key, beginning, n) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->count && strncmp(c->tensors[low].key, beginning, n) == 0;
}

/* One whole number, whatever its name: no network computes with it. */
static bool is_counter(const vx_tensor *t)
{
    const char *name = t->dtype_name;
    return t->dtype == VX_DTYPE_OTHER && t->count == 1 &&
           (name[0] == 'I' || name[0] == 'U' || strcmp(name, "BOOL") == 0);
}

/* What a tensor is that cannot change the answer; NULL for others. */
static const char *what_is(const vx_container *c, const vx_tensor *t)
{
    for (size_t i = 0; i < ROWS; i++)
        if (fits_all(t->key, rows[i].pattern) && (!rows[i].most || t->count <= rows[i].most) &&
            (!rows[i].beside || any_begins(c, rows[i].beside)))
            return rows[i].what;
    return is_counter(t) ? "counters" : NULL;
}

bool vx_is_leftover(const vx_container *c, const vx_tensor *t)
{
    return what_is(c, t) != NULL;
}

/* -------------------------------------------------------------------------- the list ------ */

#define KINDS 12

/* What is left out, by kind. */
typedef struct kinds {
    struct kind {
        const char *what;
        const char *first; /* a tensor's name */
        int count;
    } kind[KINDS];
    int count;
} kinds;

static void add(kinds *k, const char *what, const char *name)
{
    for (int i = 0; i < k->count; i++)
        if (strcmp(k->kind[i].what, what) == 0) {
            k->kind[i].count++;
            return;
        }
    if (k->count < KINDS)
        k->kind[k->count++] = (struct kind){what, name, 1};
}

static void write_kinds(char *text, size_t size, const kinds *k, const char *ignored)
{
    size_t at = (size_t)snprintf(text, size, "%s", ignored);
    for (int i = 0; i < k->count && at < size; i++) {
        const struct kind *one = &k->kind[i];
        at += (size_t)snprintf(text + at, size - at, "%s%s (%.60s", at ? ", " : "", one->what,
                               one->first);
        if (at < size && one->count > 1)
            at += (size_t)snprintf(text + at, size - at, " and %d more", one->count - 1);
        if (at < size)
            at += (size_t)snprintf(text + at, size - at, ")");
    }
}

/* Whether a classifier of somebody's own may read it: transformers' classifiers do not. */
static bool is_read(const vx_reader *r, const vx_tensor *t)
{
    const vx_naming *naming = r->match->dialect->naming;
    const char *class = vx_naming_architecture(naming, r->config);
    return strstr(t->key, "pooler.dense.") && !r->arch->units &&
           !(class && strstr(class, "Classification")) &&
           vx_role_find(r->container, naming, r->match->prefix, VX_HEAD_W, 0);
}

/* EVA-02's own files hold the cosines and sines of their rotation: [patches, head width], each
 * angle twice. They are left out if they are those that vitx computes, up to the rounding of
 * halves. */
static bool is_rotation(const vx_reader *r, const vx_tensor *t)
{
    const char *at = strstr(t->key, "rope.freqs_");
    const size_t sine = at && strcmp(at, "rope.freqs_sin") == 0;
    vx_arch grid = {.rotary = r->arch->rotary};
    float *values;
    if (!(sine || (at && strcmp(at, "rope.freqs_cos") == 0)) || t->rank != 2 ||
        grid.rotary.kind != VX_ROTATE_GRID || t->shape[1] > r->arch->width || t->shape[1] % 4 ||
        (r->hints->heads && t->shape[1] * r->hints->heads != r->arch->width))
        return false;
    grid.head_width = (int)t->shape[1];
    while ((int64_t)grid.grid_height * grid.grid_height < t->shape[0] && grid.grid_height < 256)
        grid.grid_width = ++grid.grid_height;
    const size_t count = vx_rotary_floats(&grid), e = (size_t)grid.head_width;
    if (count != t->count ||
        vx_new(&values, &r->container->hooks, 2 * count, sizeof *values, "rotations") != VITX_OK)
        return false;
    vx_rotary_fill(values, &grid, NULL);
    bool same = vx_tensor_read_f32(t, values + count, 0, count) == VITX_OK;
    for (size_t i = 0; i < count && same; i++)
        same = fabsf(values[count + i] - values[i / e * e + sine * e / 2 + i % e / 2]) < 0.02f;
    vx_release(&r->container->hooks, values);
    return same;
}

int vx_leave_out(char **text, const vx_reader *r)
{
    const vx_dialect *d = r->match->dialect;
    const vx_container *c = r->container;
    char written[1000];
    kinds k = {.count = 0};
    for (int i = 0; i < c->count; i++) {
        const vx_tensor *t = &c->tensors[i];
        char shape[120];
        if (r->used[i])
            continue;
        const char *what = vx_harmless(t->key, d->naming->harmless, r->match->prefix)
                               ? "parts that do not answer"
                           : is_rotation(r, t) ? "angles of rotation, which are computed"
                                               : what_is(c, t);
        if (is_read(r, t))
            return vx_fail_field_in(VITX_UNSUPPORTED, c->path, "ignore",
                                    "has a classifier and a pooler (%.100s), and nothing says "
                                    "whether one reads the other; if not, leave it out with "
                                    "ignore '*pooler.*'",
                                    t->name);
        if (!what)
            return vx_fail_field_in(
                VITX_UNSUPPORTED, c->path, "ignore",
                "tensor %.100s is not part of family %s in the names of %s (shape "
                "%s); if it does not change the answer, leave it out with ignore",
                t->name, r->match->family->name, d->naming->title,
                vx_shape_text(shape, sizeof shape, t->shape, t->rank));
        add(&k, what, t->name);
    }
    write_kinds(written, sizeof written, &k, c->ignored);
    return vx_strdup(text, &c->hooks, written);
}

/* -------------------------------------------------------------------------- pixels -------- */

/* A tensor that says how pixels are normalised, and says it otherwise than `means` or `stds`. Such
 * a tensor of 0 or 1 alone does nothing; numbers above 3 count from 0 to 255. */
static bool differs(float read[3], const vx_tensor *t, const float *means, const float *stds)
{
    const size_t n = strlen(t->key);
    const bool is_std = n >= 3 && strcmp(t->key + n - 3, "std") == 0;
    const float *expected = is_std ? stds : means, nothing = is_std ? 1 : 0;
    if (t->count != 3 || t->dtype == VX_DTYPE_OTHER || vx_tensor_read_f32(t, read, 0, 3) != 0)
        return false;
    const float unit = read[0] > 3 || read[1] > 3 || read[2] > 3 ? 255 : 1;
    bool other = false, any = false;
    for (int i = 0; i < 3; i++) {
        const float off = read[i] / unit - expected[i];
        other = other || off > 0.002f || off < -0.002f;
        any = any || read[i] != nothing;
    }
    return other && any;
}

void vx_leftovers_compare(const vx_container *c, const float means[3], const float stds[3])
{
    for (int i = 0; i < c->count; i++) {
        const vx_tensor *t = &c->tensors[i];
        const char *what = what_is(c, t);
        float read[3];
        if (what && strcmp(what, pixels) == 0 && differs(read, t, means, stds))
            vx_log(&c->hooks, VITX_LOG_WARNING,
                   "%s: tensor %.100s is %g %g %g, but pictures are prepared with mean %g %g %g "
                   "and std %g %g %g",
                   c->path, t->name, (double)read[0], (double)read[1], (double)read[2],
                   (double)means[0], (double)means[1], (double)means[2], (double)stds[0],
                   (double)stds[1], (double)stds[2]);
    }
}

/* -------------------------------------------------------------------------- by request ---- */

typedef struct request {
    const char *begin, *end; /* a pattern */
    char first[100];         /* the first name that fits one */
    int count, of_pattern;
} request;

static bool is_ignored(const vx_tensor *t, void *arg)
{
    request *r = arg;
    if (!fits(t->name, r->begin, r->end))
        return false;
    if (r->count++ == 0)
        snprintf(r->first, sizeof r->first, "%s", t->name);
    r->of_pattern++;
    return true;
}

int vx_ignore(vx_container *c, const char *patterns)
{
    request r = {.begin = patterns};
    for (; patterns; r.begin = r.end + 1) {
        r.end = r.begin + strcspn(r.begin, ",");
        r.of_pattern = 0;
        vx_container_drop(c, is_ignored, &r);
        if (!r.of_pattern)
            return vx_fail_field_in(VITX_INVALID, c->path, "ignore",
                                    "ignore: \"%.*s\" fits the name of no tensor%s%.100s",
                                    (int)(r.end - r.begin < 100 ? r.end - r.begin : 100), r.begin,
                                    c->count ? "; the first is " : "",
                                    c->count ? c->tensors[0].name : "");
        if (*r.end == '\0')
            break;
    }
    if (r.count > 1)
        snprintf(c->ignored, sizeof c->ignored, "by request (%s and %d more)", r.first,
                 r.count - 1);
    else if (r.count)
        snprintf(c->ignored, sizeof c->ignored, "by request (%s)", r.first);
    return VITX_OK;
}
