/*
 * test_torch.c: the files of torch.save: good ones of three versions of PyTorch, damaged ones, and
 * pickles that were never written by PyTorch.
 *
 * The good files hold the tensors of the golden model vit-timm-2x2-avg (make_torch.py in
 * tools/golden); what is read from them is compared with its model.safetensors.
 */
#define _GNU_SOURCE /* memmem */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "archive.h"
#include "model/model.h"
#include "model_files.h"
#include "util.h"

#define MODEL "vit-timm-2x2-avg"

static char *folder;

static void setup(void)
{
    folder = copy_golden(MODEL);
}

static void teardown(void)
{
    remove_folder(folder);
    free(folder);
}

static const char *torch_path(const char *name)
{
    char local[200];
    snprintf(local, sizeof local, "torch/%s", name);
    return golden_path(local);
}

static int open_tensors(vx_container **out, const char *path, const char *key)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    return vx_container_open(out, (vx_shelf){0}, path, key, &hooks);
}

static float *values(const vx_tensor *t)
{
    float *out = malloc((size_t)t->count * sizeof *out + 1);
    ck_ok(vx_tensor_read_f32(t, out, 0, t->count));
    return out;
}

/* -------------------------------------------------------------------------- good files ---- */

/* Which key, what info says, how far the values may be from the model's. */
static const struct good {
    const char *name, *key, *form;
    double off, times;
} goods[] = {
    {"plain-1.13.1.pth", NULL, "PyTorch zip", 0, 1},
    {"plain-2.1.2.pth", NULL, "PyTorch zip", 0, 1},
    {"plain-2.15.0.pth", ".", "PyTorch zip", 0, 1},
    {"old-1.13.1.pth", NULL, "PyTorch before 1.6", 0, 1},
    {"old-2.1.2.pth", NULL, "PyTorch before 1.6", 0, 1},
    {"old-2.15.0.pth", NULL, "PyTorch before 1.6", 0, 1},
    {"train-1.13.1.pth.tar", "state_dict", "PyTorch zip, key state_dict", 0, 1},
    {"train-2.1.2.pth.tar", "state_dict_ema", "PyTorch zip, key state_dict_ema", 0.001, 0.5},
    {"train-2.15.0.pth.tar", "state_dict", "PyTorch zip, key state_dict", 0, 1},
    {"protocol4.pth", NULL, "PyTorch zip", 0, 1},
    {"protocol5-old.pth", NULL, "PyTorch before 1.6", 0, 1},
    {"no-checksums.pth", NULL, "PyTorch zip", 0, 1},
    {"views.pth", NULL, "PyTorch zip", 0, 1},
    {"views-old.pth", NULL, "PyTorch before 1.6", 0, 1},
    {"types.pth", NULL, "PyTorch zip", 0.004, 1}, /* bfloat16 has 8 bits */
    {"module.pth", NULL, "PyTorch zip, a whole module", 0, 1},
    {"module-old.pth", NULL, "PyTorch before 1.6, key model, a whole module", 0, 1},
    {"nested.pth", "student.backbone", "PyTorch zip, key student.backbone", 0, 1},
    {"nested.pth", "teacher", "PyTorch zip, key teacher", 0, 1},
    {"shards/pytorch_model.bin.index.json", NULL, "PyTorch zip", 0, 1},
    {"big.pth", NULL, "PyTorch zip", 0, 1},
    {"packed.pth", NULL, "PyTorch zip", 0, 1},
    {"list.pth", "0", "PyTorch zip, key 0", 0, 1},
    {"device.pth", NULL, "PyTorch zip", 0, 1},
    {"held.pth", NULL, "PyTorch zip, key a.b.c.state.net", 0, 1},
    {"arguments.ckpt", NULL, "PyTorch zip, key state_dict", 0, 1},
    {"arguments.ckpt", "hyper_parameters.net",
     "PyTorch zip, key hyper_parameters.net, a whole module", 0, 1},
    {"scripted.pth", NULL, "PyTorch zip, a TorchScript module", 0, 1},
};

/* Every tensor of the model is in `c`, with its shape and values. */
static void check_tensors(const vx_container *c, const struct good *g)
{
    vx_container *expected;
    ck_ok(open_tensors(&expected, in_folder(folder, "model.safetensors"), NULL));
    for (int i = 0; i < expected->count; i++) {
        const vx_tensor *e = &expected->tensors[i], *t = vx_container_find(c, e->name);
        ck_assert_msg(t && t->rank == e->rank, "%s", e->name);
        for (int k = 0; k < e->rank; k++)
            ck_assert_int_eq(t->shape[k], e->shape[k]);
        float *const want = values(e), *const is = values(t);
        for (uint64_t k = 0; k < e->count; k++)
            ck_assert_msg(fabs(is[k] - g->times * want[k]) <= g->off * fabs(want[k]),
                          "%s [%d]: %g, expected %g", e->name, (int)k, (double)is[k],
                          g->times * want[k]);
        /* a part, from within */
        const uint64_t from = e->count / 3;
        float *const part = malloc(sizeof *part * (size_t)e->count);
        ck_ok(vx_tensor_read_f32(t, part, from, e->count - from));
        ck_assert_mem_eq(part, is + from, sizeof *part * (size_t)(e->count - from));
        free(part);
        free(want);
        free(is);
    }
    vx_container_close(expected);
}

START_TEST(test_torch__reads_what_pytorch_wrote)
{
    const struct good *g = &goods[_i];
    vx_container *c;
    ck_ok(open_tensors(&c, torch_path(g->name), g->key));
    check_tensors(c, g);
    ck_assert_str_eq(c->form, g->form);
    vx_container_close(c);
}
END_TEST

/* A model's logits for its own input. */
static void run_model(float logits[16], const char *path, const char *key)
{
    vitx_model *m;
    vitx_context *context;
    vitx_view view;
    vitx_image *image;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    opts.weights_key = key;
    ck_ok(vitx_model_open(&m, path, &opts));
    ck_ok(vitx_context_create(&context, m, NULL));
    ck_ok(vitx_image_open(&image, golden_path("models/picture.png")));
    ck_ok(vitx_forward(context, (const vitx_image *const[]){image}, 1));
    ck_ok(vitx_logits(&view, context));
    memcpy(logits, view.data, 7 * sizeof *logits);
    vitx_image_free(image);
    vitx_context_free(context);
    vitx_model_free(m);
}

static void copy_to(const char *name, const char *as)
{
    size_t size;
    void *data = read_file(torch_path(name), &size);
    write_file(in_folder(folder, as), data, size);
    free(data);
}

START_TEST(test_torch__a_model_gives_the_numbers_of_the_tidy_file)
{
    static const char *const names[][3] = {
        {"plain-1.13.1.pth", "weights.pth", NULL},
        {"old-2.15.0.pth", "model.bin", NULL},
        {"train-2.15.0.pth.tar", "model_best.pth.tar", "state_dict"},
        {"module.pth", "whole.pt", NULL},
        {"nested.pth", "last.ckpt", "teacher"},
        {"plain-2.1.2.pth", "pytorch_model.bin", NULL},
    };
    float want[16] = {0}, is[16] = {1};
    run_model(want, folder, NULL);
    remove(in_folder(folder, "model.safetensors"));
    for (int i = 0; i < COUNT(names); i++) {
        copy_to(names[i][0], names[i][1]);
        run_model(is, folder, names[i][2]); /* the one weight file of the folder */
        ck_assert_mem_eq(is, want, sizeof *is * 7);
        remove(in_folder(folder, names[i][1]));
    }
}
END_TEST

START_TEST(test_torch__takes_safetensors_before_pickles)
{
    vitx_model *m;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    copy_to("harm.pth", "pytorch_model.bin");
    copy_to("harm.pth", "a.pth");
    ck_ok(vitx_model_open(&m, folder, NULL));
    ck_ok(vitx_model_get_info(&info, m));
    ck_assert_str_eq(info.container, "safetensors");
    vitx_model_free(m);
    remove(in_folder(folder, "model.safetensors"));
    try_open(folder, VITX_UNSUPPORTED, "pytorch_model.bin: its pickle asks to run os.system");
    remove(in_folder(folder, "pytorch_model.bin"));
    copy_to("plain-2.1.2.pth", "b.pt");
    try_open(folder, VITX_IO, "holds 2 weight files");
    remove(in_folder(folder, "a.pth"));
    copy_to("plain-2.1.2.pth", "optimizer.pt");
    ck_ok(vitx_model_open(&m, folder, NULL));
    vitx_model_free(m);
}
END_TEST

START_TEST(test_torch__reads_views)
{
    vx_container *c;
    ck_ok(open_tensors(&c, torch_path(_i ? "views-old.pth" : "views.pth"), NULL));
    const vx_tensor *t = vx_container_find(c, "expanded");
    ck_assert(t && t->count == 6);
    float *read = values(t);
    for (int i = 0; i < 6; i++)
        ck_assert(read[i] == 2.5f);
    free(read);
    t = vx_container_find(c, "every_other");
    ck_assert(t && t->count == 5);
    read = values(t);
    for (int i = 0; i < 5; i++)
        ck_assert(read[i] == (float)(2 * i + 1));
    free(read);
    t = vx_container_find(c, "empty");
    ck_assert(t && t->rank == 2 && t->count == 0 && t->shape[1] == 4);
    ck_ok(vx_tensor_read_f32(t, &(float){0}, 0, 0));
    t = vx_container_find(c, "scalar");
    ck_assert(t && t->rank == 0 && t->count == 1);
    ck_assert_str_eq(t->dtype_name, "I64");
    ck_fails(vx_tensor_read_f32(t, &(float){0}, 0, 1), VITX_UNSUPPORTED, "tensor scalar is I64");
    vx_container_close(c);
}
END_TEST

START_TEST(test_torch__lists_types_that_are_no_weights)
{
    static const char *const types[][2] = {{"int64", "I64"}, {"int32", "I32"}, {"int16", "I16"},
                                           {"int8", "I8"},   {"uint8", "U8"},  {"bool", "BOOL"},
                                           {"uint16", "U16"}};
    vx_container *c;
    ck_ok(open_tensors(&c, torch_path("types.pth"), NULL));
    for (int i = 0; i < COUNT(types); i++) {
        const vx_tensor *t = vx_container_find(c, types[i][0]);
        ck_assert(t && t->dtype == VX_DTYPE_OTHER && t->count == 3);
        ck_assert_str_eq(t->dtype_name, types[i][1]);
    }
    const vx_tensor *t = vx_container_find(c, "sparse");
    ck_assert(t && t->dtype == VX_DTYPE_OTHER);
    t = vx_container_find(c, "f64_turned");
    ck_assert(t && t->dtype == VX_F64 && t->shape[0] == 3 && t->shape[1] == 2);
    float *read = values(t);
    for (int i = 0; i < 6; i++)
        ck_assert(read[i] == (float)(i / 2 + 3 * (i % 2)));
    free(read);
    vx_container_close(c);
}
END_TEST

/* -------------------------------------------------------------------------- refusals ------ */

static const struct refusal {
    const char *name, *key;
    int code;
    const char *part;
} refusals[] = {
    {"harm.pth", NULL, VITX_UNSUPPORTED, "asks to run os.system; vitx runs nothing"},
    {"harm-old.pth", NULL, VITX_UNSUPPORTED, "asks to run os.system; vitx runs nothing"},
    {"script.pth", NULL, VITX_UNSUPPORTED,
     "holds no network of plain tensors: its weights are constants of a TorchScript program"},
    {"no-sparse.pth", NULL, VITX_UNSUPPORTED, "its weights are sparse"},
    {"no-meta.pth", NULL, VITX_UNSUPPORTED, "its weights are without values (device meta)"},
    {"no-numpy.pth", NULL, VITX_UNSUPPORTED, "its weights are arrays of NumPy's"},
    {"no-turned.pth", NULL, VITX_UNSUPPORTED, "its weights are a negated or conjugated view"},
    {"no-quantized.pth", NULL, VITX_UNSUPPORTED, "its weights are quantized"},
    {"no-quantized-module.pth", NULL, VITX_UNSUPPORTED, "its weights are quantized"},
    {"no-flat.pth", NULL, VITX_UNSUPPORTED, "its weights are flat parameters of FSDP"},
    {"no-parts.pth", NULL, VITX_UNSUPPORTED, "in parts (DeepSpeed's ZeRO 3)"},
    {"no-torch.pkl", NULL, VITX_UNSUPPORTED, "a pickle, but not one of torch.save"},
    {"train-2.1.2.pth.tar", NULL, VITX_FORMAT,
     "under several keys: state_dict (32 tensors), state_dict_ema (32 tensors). Say which "
     "with weights_key"},
    {"nested.pth", NULL, VITX_FORMAT, "student.backbone (32 tensors), teacher (32 tensors)"},
    {"nested.pth", "loss", VITX_FORMAT,
     "no weights under weights_key \"loss\"; it has student.backbone"},
    {"plain-2.1.2.pth", "model", VITX_FORMAT,
     "no weights under weights_key \"model\"; it has . (32 tensors)"},
    {"shards/pytorch_model-00001-of-00002.bin", "ema", VITX_FORMAT, "holds no network"},
};

START_TEST(test_torch__says_why_it_refuses)
{
    const struct refusal *r = &refusals[_i];
    vx_container *c;
    ck_fails(open_tensors(&c, torch_path(r->name), r->key), r->code, r->part);
}
END_TEST

START_TEST(test_torch__other_forms_have_no_keys)
{
    vitx_model *m;
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    opts.weights_key = "model";
    ck_fails(vitx_model_open(&m, folder, &opts), VITX_INVALID, "weights_key is \"model\"");
    ck_fails(vitx_model_open(&m, golden_model("vit-npz"), &opts), VITX_INVALID, "have no keys");
}
END_TEST

/* -------------------------------------------------------------------------- damage -------- */

#define MUTATED 5 /* the first of them, whose pickles are their first member */
static const char *const damaged[] = {"plain-2.15.0.pth", "old-2.1.2.pth", "views.pth",
                                      "module-old.pth",   "types.pth",     "big.pth",
                                      "packed.pth",       "scripted.pth"};

/* Opens what is in a file and reads every value. */
static int read_all(const char *path, const char *key)
{
    vx_container *c;
    int status = open_tensors(&c, path, key);
    if (status != VITX_OK)
        return status;
    for (int i = 0; i < c->count && status == VITX_OK; i++) {
        const vx_tensor *t = &c->tensors[i];
        if (t->dtype == VX_DTYPE_OTHER || t->count > 1 << 20)
            continue;
        float *out = malloc(((size_t)t->count + 1) * sizeof *out);
        status = vx_tensor_read_f32(t, out, 0, t->count);
        free(out);
    }
    vx_container_close(c);
    return status;
}

START_TEST(test_torch__refuses_every_truncation)
{
    size_t size;
    unsigned char *data = read_file(torch_path(damaged[_i]), &size);
    const char *path = in_folder(folder, "cut.pth");
    for (size_t n = 0; n < size; n += n < 4000 || n > size - 300 ? 13 : 997) {
        write_file(path, data, n);
        ck_assert_msg(read_all(path, NULL) == VITX_FORMAT, "%zu: %s", n, vitx_last_error());
    }
    write_file(path, data, size);
    ck_ok(read_all(path, NULL));
    free(data);
}
END_TEST

/* Where the pickles of a file begin and how long they are. */
static void find_pickle(size_t *at, size_t *bytes, const unsigned char *data, size_t size)
{
    const unsigned char *p = memmem(data, size, "\200\2", 2), *end;
    ck_assert_ptr_nonnull(p);
    *at = (size_t)(p - data);
    end = memmem(p, size - *at, "PK\7\10", 4); /* what follows a member of PyTorch's */
    *bytes = end ? (size_t)(end - p) : 3600;
}

/* No checksum: its field in the directory and behind the pickle become 0, which PyTorch's own
 * option writes. */
static void clear_checksum(unsigned char *data, size_t size)
{
    unsigned char *at = memmem(data, size, "PK\1\2", 4);
    if (at)
        memset(at + 16, 0, 4);
}

/* Replaces, moves, doubles and flips bytes of the pickle. */
static void mutate(unsigned char *p, size_t n, rng *r)
{
    static const unsigned char codes[] =
        "()]}.0123NKMJGXUTBCRQbcdeuastloqrhj\x80\x81\x85\x86\x87\x88"
        "\x89\x8a\x8c\x8f\x90\x91\x92\x93\x94\x95";
    for (int k = rng_int(r, 1, 4); k > 0; k--) {
        const size_t at = (size_t)rng_int(r, 0, (int)n - 1),
                     from = (size_t)rng_int(r, 0, (int)n - 1);
        size_t length = (size_t)rng_int(r, 1, 24);
        length = length > n - at ? n - at : length;
        length = length > n - from ? n - from : length;
        switch (rng_int(r, 0, 3)) {
        case 0:
            p[at] = codes[rng_int(r, 0, (int)sizeof codes - 2)];
            break;
        case 1:
            p[at] ^= (unsigned char)(1 << rng_int(r, 0, 7));
            break;
        case 2:
            p[at] = (unsigned char)rng_int(r, 0, 255);
            break;
        default:
            memmove(p + at, p + from, length);
        }
    }
}

START_TEST(test_torch__survives_mutated_pickles)
{
    size_t size, at, bytes;
    unsigned char *good = read_file(torch_path(damaged[_i]), &size), *bad = malloc(size);
    const char *path = in_folder(folder, "bad.pth");
    rng r = {2000 + (uint64_t)_i};
    int read = 0;
    clear_checksum(good, size);
    find_pickle(&at, &bytes, good, size);
    for (int i = 0; i < 400; i++) { /* five files: 2,000 */
        memcpy(bad, good, size);
        mutate(bad + at, bytes, &r);
        write_file(path, bad, size);
        const int status = read_all(path, NULL);
        ck_assert_msg(status == VITX_OK || status == VITX_FORMAT || status == VITX_UNSUPPORTED,
                      "mutation %d: %s", i, vitx_last_error());
        ck_assert(status == VITX_OK || vitx_last_error()[0]);
        read += status == VITX_OK;
    }
    ck_assert_int_gt(read, 4);
    ck_assert_int_lt(read, 390);
    free(good);
    free(bad);
}
END_TEST

START_TEST(test_torch__survives_each_allocation_that_fails)
{
    vitx_hooks hooks = VITX_HOOKS_INIT;
    ration r;
    hooks.alloc = ration_alloc;
    hooks.release = ration_release;
    hooks.payload = &r;
    int n = 0;
    for (bool done = false; !done; n++) {
        vx_container *c;
        r = (ration){.left = n};
        const int status =
            vx_container_open(&c, (vx_shelf){0}, torch_path(damaged[_i]), NULL, &hooks);
        ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "allocation %d: %s", n,
                      vitx_last_error());
        done = status == VITX_OK;
        vx_container_close(c);
        ck_assert_msg(r.live == 0, "allocation %d: %d not returned", n, r.live);
    }
    ck_assert_int_gt(n, 8);
}
END_TEST

/* -------------------------------------------------------------------------- by hand ------- */

/* A network of four matrices is put together in a pickle of protocol 2, and one thing in it is made
 * wrong. Storage "0" holds 64 numbers, storage "1" eight of 8 bytes. */
#define STORAGE(class, key, numel)                                                                 \
    "((X\7\0\0\0storagectorch\n" class "\nX\1\0\0\0" key "X\3\0\0\0cpu" numel "tQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define F32_64 STORAGE("FloatStorage", "0", "K\100")
#define END "\211ccollections\nOrderedDict\n)RtR"
#define MATRIX(name) "X\3\0\0\0" name REBUILD F32_64 "K\0K\4K\4\206K\4K\1\206" END
#define FOUR MATRIX("a.a") MATRIX("a.b") MATRIX("a.c") MATRIX("a.d")
#define BEGIN "\200\2}("
#define LAST(tensor) BEGIN FOUR "X\3\0\0\0a.e" tensor "u."
#define V(storage, first, size, stride) LAST(REBUILD storage first size stride END)
#define TEXT(literal) literal, sizeof(literal) - 1

static const struct by_hand {
    const char *pickle;
    size_t size;
    int code;
    const char *part; /* NULL: it is read */
} by_hand[] = {
    {TEXT(V(F32_64, "K\0", "K\4K\4\206", "K\4K\1\206")), VITX_OK, NULL},
    {TEXT(V(F32_64, "K\60", "K\4K\4\206", "K\4K\1\206")), VITX_OK, NULL},
    {TEXT(V(F32_64, "K\61", "K\4K\4\206", "K\4K\1\206")), VITX_FORMAT, "reaches past its storage"},
    {TEXT(V(F32_64, "K\0", "K\4K\4\206", "K\25K\1\206")), VITX_FORMAT, "reaches past its storage"},
    {TEXT(V(F32_64, "J\377\377\377\377", "K\4K\4\206", "K\4K\1\206")), VITX_FORMAT,
     "reaches past its storage"},
    {TEXT(V(F32_64, "K\0", "K\4K\4\206", "J\377\377\377\377K\1\206")), VITX_FORMAT,
     "no whole number"},
    {TEXT(V(F32_64, "K\0", "K\4K\4\206", "K\4\205")), VITX_FORMAT, "tuples of one length"},
    {TEXT(V(F32_64, "K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t")),
     VITX_FORMAT, "one length up to 8"},
    /* sizes whose product, and strides whose sum, do not fit */
    {TEXT(V(F32_64, "K\0", "\212\7\0\0\0\0\0\0\020\212\7\0\0\0\0\0\0\020\206", "K\0K\0\206")),
     VITX_FORMAT, "overflows"},
    {TEXT(V(F32_64, "K\0", "\212\7\0\0\0\0\0\0\020K\2\206", "\212\7\0\0\0\0\0\0\020K\0\206")),
     VITX_FORMAT, "overflows"},
    /* a number that stands for 2^25 and for 2^20 others */
    {TEXT(V(F32_64, "K\0", "J\0\0\0\2K\1\206", "K\0K\0\206")), VITX_UNSUPPORTED,
     "33554432 elements in a storage of 64"},
    {TEXT(V(F32_64, "K\0", "J\0\0\020\0K\1\206", "K\0K\0\206")), VITX_OK, NULL},
    {TEXT(V(STORAGE("FloatStorage", "0", "K\77"), "K\0", "K\4\205", "K\1\205")), VITX_FORMAT,
     "storage 0 has 256 bytes, 63 elements of F32 expected"},
    {TEXT(V(STORAGE("HalfStorage", "0", "K\100"), "K\0", "K\4\205", "K\1\205")), VITX_FORMAT,
     "256 bytes, 64 elements of F16"},
    {TEXT(V(STORAGE("FloatStorage", "7", "K\100"), "K\0", "K\4\205", "K\1\205")), VITX_FORMAT,
     "storage 7 has 0 bytes"},
    {TEXT(V(STORAGE("QInt8Storage", "0", "K\100"), "K\0", "K\4\205", "K\1\205")), VITX_UNSUPPORTED,
     "a storage of a kind that vitx does not know"},
    {TEXT(V(STORAGE("DoubleStorage", "1", "K\10"), "K\0", "K\4\205", "K\2\205")), VITX_OK, NULL},
    {TEXT(LAST("ctorch._utils\n_rebuild_sparse_tensor\nK\1\205R")), VITX_OK, NULL},
    /* a tensor of a class of its own */
    {TEXT(LAST("ctorch._tensor\n_rebuild_from_type_v2\n(" REBUILD "cmine\nTensor\n" F32_64
               "K\0K\4\205K\1\205"
               "\211NtNtR")),
     VITX_OK, NULL},
    /* twice the same name */
    {TEXT(BEGIN FOUR MATRIX("a.d") "u."), VITX_FORMAT, "tensor a.d occurs twice"},
    {TEXT(BEGIN FOUR MATRIX("a\0d") "u."), VITX_FORMAT, "is no text"},
    {TEXT(BEGIN FOUR MATRIX("a.\377") "u."), VITX_FORMAT, "is no text"},
    {TEXT(BEGIN MATRIX("a.b") MATRIX("a.c") MATRIX("a.d") "u."), VITX_FORMAT, "holds no network"},
    /* instructions */
    {TEXT("\200\2."), VITX_FORMAT, "damaged pickle: its end leaves not one value"},
    {TEXT("\200\6N."), VITX_FORMAT, "a protocol other than 2 to 5"},
    {TEXT("N."), VITX_FORMAT, "damaged pickle: no protocol"},
    {TEXT("\200\2u."), VITX_FORMAT, "no mark"},
    {TEXT("\200\2}(Nu."), VITX_FORMAT, "values for what takes none"},
    {TEXT("\200\2N(Na."), VITX_FORMAT, "an empty stack"},
    {TEXT("\200\2N(NNu."), VITX_FORMAT, "values for what takes none"},
    {TEXT("\200\2h\7."), VITX_FORMAT, "a value that was not remembered"},
    {TEXT("\200\2Nr\377\377\377\177."), VITX_FORMAT, "a value is remembered wrongly"},
    {TEXT("\200\2X\377\377\377\377."), VITX_FORMAT, "it is cut short"},
    {TEXT("\200\2\215\377\377\377\377\377\377\377\377."), VITX_FORMAT, "it is cut short"},
    {TEXT("\200\4\225\377\0\0\0\0\0\0\0N."), VITX_FORMAT, "it is cut short"},
    {TEXT("\200\2NNR."), VITX_FORMAT, "arguments that are no tuple"},
    {TEXT("\200\2(o."), VITX_FORMAT, "an object of no class"},
    {TEXT("\200\2K\1K\2\223."), VITX_FORMAT, "a name that is no text"},
    {TEXT("\200\2\205."), VITX_FORMAT, "an empty stack"},
    {TEXT("\200\2\202\1."), VITX_UNSUPPORTED, "instruction 0x82"},
    {TEXT("\200\5\227."), VITX_UNSUPPORTED, "instruction 0x97"},
    {TEXT("\200\2N.N"), VITX_FORMAT, "1 bytes follow its pickle"},
    /* names that ask for something */
    {TEXT("\200\2cposix\nsystem\nX\2\0\0\0id\205R."), VITX_UNSUPPORTED, "asks to run os.system;"},
    {TEXT("\200\2cnt\nsystem\n."), VITX_UNSUPPORTED, "asks to run os.system;"},
    {TEXT("\200\2(X\2\0\0\0idios\npopen\n."), VITX_UNSUPPORTED, "asks to run os.popen;"},
    {TEXT("\200\2(c__builtin__\neval\nX\1\0\0\0"
          "1o."),
     VITX_UNSUPPORTED, "asks to run builtins.eval;"},
    {TEXT("\200\4\214\12subprocess\214\5Popen\223)\201."), VITX_UNSUPPORTED,
     "asks to run subprocess.Popen;"},
    {TEXT("\200\4\214\10builtins\224\214\12__import__\224\223."), VITX_UNSUPPORTED,
     "asks to run builtins.__import__;"},
    {TEXT("\200\2cos.path\njoin\n."), VITX_UNSUPPORTED, "asks to run os.path.join;"},
    {TEXT("\200\2cshutil\nrmtree\n."), VITX_UNSUPPORTED, "vitx runs nothing"},
    /* and those that only begin in the same way, or are foreign */
    {TEXT(BEGIN FOUR MATRIX("a.e") "X\3\0\0\0ospcosprey\nsystem\nX\2\0\0\0id\205Ru."), VITX_OK,
     NULL},
    {TEXT(BEGIN FOUR MATRIX("a.e") "X\3\0\0\0argcargparse\nNamespace\n)\201}X\1\0\0\0lK\3sbu."),
     VITX_OK, NULL},
    {TEXT(BEGIN FOUR MATRIX("a.e") "X\3\0\0\0int(I123\nL4567890123L\nF1.5\nlu."), VITX_OK, NULL},
    {TEXT(BEGIN FOUR MATRIX("a.e") "X\3\0\0\0old(ia\nB\nX\3\0\0\0obj(ca\nB\nK\1ou."), VITX_OK,
     NULL},
    {TEXT(BEGIN FOUR MATRIX("a.e") "X\3\0\0\0set(K\1K\2\221X\3\0\0\0exta\217(K\1\220u."),
     VITX_FORMAT, "values for what takes none"},
    {TEXT(BEGIN FOUR MATRIX("a.e") "X\3\0\0\0set\217(K\1\220X\3\0\0\0"
                                   "a.f\212\011"
                                   "123456789X\3\0\0\0"
                                   "a.gB\2\0\0\0abu."),
     VITX_OK, NULL},
};

static archive by_hand_file(const char *pickle, size_t size)
{
    float numbers[64];
    double doubles[8];
    for (int i = 0; i < 64; i++)
        numbers[i] = (float)i;
    for (int i = 0; i < 8; i++)
        doubles[i] = i;
    const archive_member members[] = {
        {"m/data.pkl", (void *)(uintptr_t)pickle, size, false},
        {"m/data/0", numbers, sizeof numbers, false},
        {"m/data/1", doubles, sizeof doubles, false},
        {"m/byteorder", (void *)(uintptr_t) "little", 6, false},
        {"m/version", (void *)(uintptr_t) "3\n", 2, false},
    };
    return archive_build(members, COUNT(members), false);
}

START_TEST(test_torch__names_what_is_wrong_in_a_pickle)
{
    const struct by_hand *h = &by_hand[_i];
    const char *path = in_folder(folder, "hand.pth");
    const archive a = by_hand_file(h->pickle, h->size);
    write_file(path, a.data, a.size);
    free(a.data);
    if (h->part)
        ck_fails(read_all(path, NULL), h->code, h->part);
    else
        ck_ok(read_all(path, NULL));
}
END_TEST

/* The archive around it: a member's text in place of another of the same length. */
static const struct around {
    const char *find, *replace;
    int code;
    const char *part;
} around[] = {
    {"m/byteorderlittle", "m/byteorderbigend", VITX_UNSUPPORTED, "its numbers are bigend-endian"},
    {"m/version3\n", "m/version11", VITX_UNSUPPORTED, "version 11 of PyTorch's archives"},
    {"m/version3\n", "m/versionx\n", VITX_UNSUPPORTED, "version x of PyTorch's archives"},
    {"m/data.pkl", "m/dat_.pkl", VITX_FORMAT, "a zip archive without a data.pkl"},
    {"m/data/1", "m/data/2", VITX_FORMAT, "storage 1 has 0 bytes"},
    {"m/data/1", "n/data/1", VITX_FORMAT, "storage 1 has 0 bytes"},
};

START_TEST(test_torch__names_what_is_wrong_in_an_archive)
{
    static const char pickle[] =
        V(STORAGE("DoubleStorage", "1", "K\10"), "K\0", "K\4\205", "K\2\205");
    const char *path = in_folder(folder, "hand.pth");
    archive a = by_hand_file(TEXT(pickle));
    replace_bytes(a.data, a.size, around[_i].find, around[_i].replace);
    write_file(path, a.data, a.size);
    free(a.data);
    ck_fails(read_all(path, NULL), around[_i].code, around[_i].part);
}
END_TEST

/* Checksums of the texts that were changed are not looked at: PyTorch's need not be right. Of the
 * pickle they are, unless they are 0. */
START_TEST(test_torch__compares_the_pickles_checksum)
{
    static const char pickle[] = V(F32_64, "K\0", "K\4K\4\206", "K\4K\1\206");
    const char *path = in_folder(folder, "hand.pth");
    archive a = by_hand_file(TEXT(pickle));
    a.data[a.local[0] + 14] ^= 1;
    a.data[a.entry[0] + 16] ^= 1;
    write_file(path, a.data, a.size);
    ck_fails(read_all(path, NULL), VITX_FORMAT, "member m/data.pkl is damaged: its checksum");
    memset(a.data + a.local[0] + 14, 0, 4);
    memset(a.data + a.entry[0] + 16, 0, 4);
    write_file(path, a.data, a.size);
    ck_ok(read_all(path, NULL));
    free(a.data);
}
END_TEST

/* Lists in lists need neither a deep stack nor long, and a value that holds itself ends as well. */
START_TEST(test_torch__deep_and_circular_values_end)
{
    enum { DEEP = 200000 };
    char *text = malloc(3 * DEEP + 400);
    const char *path = in_folder(folder, "hand.pth");
    size_t n = 0;
    text[n++] = '\200';
    text[n++] = 2;
    for (int i = 0; i < DEEP; i++)
        text[n++] = ']';
    for (int i = 0; i < DEEP - 1; i++)
        text[n++] = 'a';
    text[n++] = '.';
    archive a = by_hand_file(text, n);
    write_file(path, a.data, a.size);
    free(a.data);
    ck_fails(read_all(path, NULL), VITX_FORMAT, "holds no network");
    static const char circle[] = "\200\2}q\0X\1\0\0\0ah\0s.";
    a = by_hand_file(TEXT(circle));
    write_file(path, a.data, a.size);
    free(a.data);
    ck_fails(read_all(path, NULL), VITX_FORMAT, "holds no network");
    free(text);
}
END_TEST

/* Modules that each hold the one before twice: 2^levels of them, or too deep. */
static size_t write_modules(char *text, int levels)
{
    static const char state[] = "cm\nM\n)\201}(X\13\0\0\0_parameters}X\10\0\0\0_modules}";
    size_t n = 2;
    memcpy(text, "\200\2", 2);
    for (int i = 0; i < levels; i++) {
        memcpy(text + n, state, sizeof state - 1);
        n += sizeof state - 1;
        if (i > 0) {
            memcpy(text + n, "(X\1\0\0\0ah.X\1\0\0\0bh.u", 18);
            text[n + 8] = text[n + 16] = (char)(i - 1);
            n += 18;
        }
        memcpy(text + n, "ubq.0", 5);
        text[n + 3] = (char)i;
        n += 5;
    }
    text[n - 1] = '.'; /* in place of the last POP */
    return n;
}

START_TEST(test_torch__modules_that_multiply_end)
{
    char text[4000];
    const char *path = in_folder(folder, "hand.pth");
    static const struct {
        int levels;
        const char *part;
    } cases[] = {
        {12, "holds no network"}, {25, "the same values too often"}, {40, "more than 32 modules"}};
    for (int i = 0; i < COUNT(cases); i++) {
        const archive a = by_hand_file(text, write_modules(text, cases[i].levels));
        write_file(path, a.data, a.size);
        free(a.data);
        ck_fails(read_all(path, NULL), i ? VITX_UNSUPPORTED : VITX_FORMAT, cases[i].part);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("torch");
    TCase *t = tcase_create("good");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_torch__reads_what_pytorch_wrote, 0, COUNT(goods));
    tcase_add_test(t, test_torch__a_model_gives_the_numbers_of_the_tidy_file);
    tcase_add_test(t, test_torch__takes_safetensors_before_pickles);
    tcase_add_loop_test(t, test_torch__reads_views, 0, 2);
    tcase_add_test(t, test_torch__lists_types_that_are_no_weights);
    suite_add_tcase(s, t);
    t = tcase_create("bad");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_torch__says_why_it_refuses, 0, COUNT(refusals));
    tcase_add_test(t, test_torch__other_forms_have_no_keys);
    tcase_add_loop_test(t, test_torch__refuses_every_truncation, 0, COUNT(damaged));
    tcase_add_loop_test(t, test_torch__survives_mutated_pickles, 0, MUTATED);
    tcase_add_loop_test(t, test_torch__survives_each_allocation_that_fails, 0, COUNT(damaged));
    suite_add_tcase(s, t);
    t = tcase_create("by hand");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_torch__names_what_is_wrong_in_a_pickle, 0, COUNT(by_hand));
    tcase_add_loop_test(t, test_torch__names_what_is_wrong_in_an_archive, 0, COUNT(around));
    tcase_add_test(t, test_torch__compares_the_pickles_checksum);
    tcase_add_test(t, test_torch__deep_and_circular_values_end);
    tcase_add_test(t, test_torch__modules_that_multiply_end);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
