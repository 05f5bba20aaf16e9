/*
 * Weights: the rows of weights.def, names of namings, and packing, shown by a class whose packing
 * writes down what it is asked for.
 */
#define _GNU_SOURCE /* setenv */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "little_model.h"
#include "model/members.h"
#include "model/model.h"
#include "model/randomise.h"
#include "model/roles.h"
#include "util.h"

extern const vx_device_class vx_device_ref;

/* ------------------------------------------------------------------ the table -------------- */

START_TEST(test_members__streams_do_not_meet)
{
    bool taken[3][16] = {0};
    for (int i = 0; vx_member_at(i); i++) {
        const vx_member *m = vx_member_at(i);
        const int part = m->group == VX_GROUP_POOL ? VX_GROUP_BACK : m->group;
        bool *streams = taken[part == VX_GROUP_BACK ? 2 : part];
        const int streams_of = !m->matrix ? 1 : m->roles[0] == VX_HEAD_W ? 4 : 2;
        for (int k = 0; m->stream >= 0 && k < streams_of; k++) {
            ck_assert_int_lt(m->stream + k, 16);
            ck_assert_msg(!streams[m->stream + k], "%s has the stream of another", m->name);
            streams[m->stream + k] = true;
        }
    }
}
END_TEST

START_TEST(test_members__are_of_their_group)
{
    for (int i = 0; vx_member_at(i); i++) {
        const vx_member *m = vx_member_at(i);
        ck_assert_msg(m->roles[0] != VX_NO_ROLE, "%s comes from nothing", m->name);
        for (const vx_role *role = m->roles; *role; role++)
            ck_assert_msg((m->group == VX_GROUP_BLOCK) == (*role >= VX_MODEL_ROLES),
                          "%s is read from a tensor of another group", m->name);
    }
}
END_TEST

/* ------------------------------------------------------------------ names ------------------ */

static const char *named(const vx_naming *naming, vx_role role)
{
    static char text[200];
    return vx_role_name(text, sizeof text, naming, "p.", role, 7);
}

START_TEST(test_naming__bases)
{
    static const struct {
        const vx_naming *naming;
        vx_role role;
        const char *name;
    } names[] = {
        {&vx_naming_hf, VX_NORM1_W, "p.encoder.layer.7.layernorm_before.weight"},
        {&vx_naming_hf_dinov2, VX_NORM1_W, "p.encoder.layer.7.norm1.weight"}, /* its own */
        {&vx_naming_hf_dinov2, VX_K_B, "p.encoder.layer.7.attention.attention.key.bias"},
        {&vx_naming_hf_dinov2, VX_HEAD2_W, ""}, /* the base has one */
        {&vx_naming_hf_clip_class, VX_NORM_W, ""},
        {&vx_naming_hf_clip_class, VX_CLASS_TOKEN, "p.embeddings.class_embedding"},
        {&vx_naming_hf_clip_class, VX_PATCH_W, "p.embeddings.patch_embedding.weight"}, /* two up */
        {&vx_naming_hf_siglip, VX_CLASS_TOKEN, ""},
        {&vx_naming_timm, VX_LS1, "blocks.7.ls1.gamma"}, /* the first of two */
        {&vx_naming_meta, VX_LS1, "p.blocks.7.ls1.gamma"},
        {&vx_naming_meta, VX_HEAD_W, "head.weight"}, /* its own: not behind the prefix */
        {&vx_naming_open_clip_timm, VX_POOL_PROBE, "p.attn_pool.latent"},
        {&vx_naming_open_clip_timm, VX_HEAD_W, "visual.head.proj.weight"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_str_eq(named(names[i].naming, names[i].role), names[i].name);
        ck_assert_int_eq(vx_role_named(names[i].naming, names[i].role), names[i].name[0] != '\0');
    }
}
END_TEST

START_TEST(test_naming__where_the_number_stands)
{
    char text[200];
    ck_assert_int_eq(vx_role_number(text, sizeof text, &vx_naming_meta, "p.", VX_NORM1_W), '.');
    ck_assert_str_eq(text, "p.blocks.");
    ck_assert_int_eq(vx_role_number(text, sizeof text, &vx_naming_timm, "p.", VX_NORM1_W), '.');
    ck_assert_str_eq(text, "blocks.");
    ck_assert_int_eq(vx_role_number(text, sizeof text, &vx_naming_google, "p/", VX_NORM1_W), '/');
    ck_assert_str_eq(text, "p/Transformer/encoderblock_");
}
END_TEST

/* ------------------------------------------------------------------ packing ---------------- */

enum { PANEL = 48 };

/* What the packing "panels" has seen. */
static struct {
    const vx_weight *now; /* between its begin and its last row */
    int row;              /* that comes next */
    int matrices, scaled, packs, ordinal;
    int fails_at; /* the pack that fails; 0: none */
    const float *gamma;
} seen;

/* Rows of 4 bytes more than the plain ones, so that nothing of "plain" fits. */
static size_t panels_bytes(int n, int k)
{
    return (size_t)n * ((size_t)k + 1) * sizeof(float);
}

static int panels_begin(const vx_device_env *env, const vx_weight *w, const float *gamma, char *err,
                        size_t err_size)
{
    (void)err;
    (void)err_size;
    ck_assert(!seen.now && w->data && w->packing->panel == PANEL);
    seen.now = w;
    seen.row = 0;
    seen.matrices++;
    seen.scaled += gamma != NULL;
    seen.gamma = gamma;
    seen.ordinal = env->ordinal;
    return 0;
}

static int panels_pack(const vx_device_env *env, const vx_weight *w, const float *rows_f32,
                       int first, int rows, char *err, size_t err_size)
{
    const size_t k = (size_t)w->k;
    float *const data = (float *)(uintptr_t)w->data;
    (void)env;
    if (++seen.packs == seen.fails_at) {
        snprintf(err, err_size, "the launch failed");
        return VX_DEVICE_FAILED;
    }
    ck_assert(w == seen.now && first == seen.row && first % PANEL == 0 && rows > 0);
    ck_assert(rows % PANEL == 0 || first + rows == w->n);
    for (int r = 0; r < rows; r++) {
        data[(size_t)(first + r) * (k + 1)] = w->bias ? w->bias[first + r] : 0;
        memcpy(data + (size_t)(first + r) * (k + 1) + 1, rows_f32 + (size_t)r * k,
               k * sizeof *data);
    }
    seen.row += rows;
    if (seen.row == w->n)
        seen.now = NULL;
    return 0;
}

static const vx_packing panels = {.name = "panels",
                                  .panel = PANEL,
                                  .bytes = panels_bytes,
                                  .begin = panels_begin,
                                  .pack = panels_pack};
static const vx_packing *const both[] = {&panels, &vx_packing_plain, NULL};

/* The head stays plain: what a precision means is the class's business. */
static const vx_packing *packing_for(const char *precision, vx_layer layer, int block)
{
    (void)precision;
    (void)block;
    return layer == VX_LAYER_HEAD ? &vx_packing_plain : &panels;
}

static int two_sites(int ordinal, char *why, size_t why_size)
{
    snprintf(why, why_size, "there are two");
    return ordinal < 2 ? 0 : VX_DEVICE_FAILED;
}

static vx_device_class panelled(void)
{
    vx_device_class cls = vx_device_ref;
    cls.name = "panelled";
    cls.packings = both;
    cls.packing_for = packing_for;
    cls.probe = two_sites;
    memset(&seen, 0, sizeof seen);
    return cls;
}

static vitx_model *open_model(const char *name)
{
    vitx_model *m;
    char path[200];
    snprintf(path, sizeof path, "test/golden/models/%s", name);
    ck_ok(vitx_model_open(&m, path, NULL));
    return m;
}

typedef struct pair {
    const vx_weights *plain;
    int matrices;
} pair;

/* vx_visit_fn: a member against that of "plain", whose order it has. */
static int compare(const vx_member *m, void *place, int block, void *arg)
{
    pair *p = arg;
    const void *other = vx_member_of(p->plain, m, block);
    if (!m->matrix) {
        const float *const *a = place, *const *b = other;
        ck_assert(!*a == !*b);
        return VITX_OK;
    }
    const vx_weight *a = place, *b = other;
    ck_assert_msg(!a->data == !b->data, "%s", m->name);
    if (!a->data)
        return VITX_OK;
    ck_assert_int_eq(b->packing == &vx_packing_plain, 1);
    ck_assert_int_eq(a->packing == &vx_packing_plain, m->layer == VX_LAYER_HEAD);
    p->matrices += a->packing == &panels;
    const size_t k = (size_t)a->k, extra = a->packing == &panels;
    const float *rows = a->data, *plain = b->data;
    for (size_t r = 0; r < (size_t)a->n; r++) {
        ck_assert_msg(memcmp(rows + r * (k + extra) + extra, plain + r * k, k * sizeof *rows) == 0,
                      "%s, row %zu", m->name, r);
        if (extra) /* the bias was there before the rows */
            ck_assert(rows[r * (k + 1)] == (b->bias ? b->bias[r] : 0));
    }
    return VITX_OK;
}

static const char *const models[] = {
    "vit-timm",  "vit-npz-deflated", "deit-timm-distilled", "dinov2-timm-registers-swiglu",
    "siglip-hf", "siglip-timm",      "vit-timm-q-v-bias",   "dinov2-meta-registers-swiglu",
    "vit-hf",    "clip-open-clip",   "vit-big-vision-map",  "vit-timm-bare",
};
enum { MODELS = sizeof models / sizeof models[0] };

START_TEST(test_packing__gets_whole_panels_behind_bias_and_gamma)
{
    const vx_device_class cls = panelled();
    const vx_weights *plain, *packed;
    vitx_model *m = open_model(models[_i]);
    ck_ok(vx_model_weights(&plain, m, &(vx_site){&vx_device_ref, 0}, "f32"));
    ck_ok(vx_model_weights(&packed, m, &(vx_site){&cls, 1}, "f32"));
    pair p = {.plain = plain};
    ck_ok(vx_visit_all(packed, m->arch.depth, compare, &p));
    ck_assert_int_eq(p.matrices, seen.matrices);
    ck_assert(!seen.now && seen.packs >= seen.matrices);
    ck_assert_int_eq(seen.ordinal, 1);
    ck_assert_int_eq(seen.scaled, packed->blocks[0].ls1 ? 2 * m->arch.depth : 0);
    vitx_model_free(m);
}
END_TEST

/* Rows of which no panel fits the usual buffer. */
START_TEST(test_packing__gets_whole_panels_of_long_rows)
{
    const vx_device_class cls = panelled();
    const vx_weights *plain, *packed;
    char *folder = make_little_model(&(little_model){.width = 50, .hidden = 6000});
    vitx_model *m;
    ck_ok(vitx_model_open(&m, folder, NULL));
    ck_ok(vx_model_weights(&plain, m, &(vx_site){&vx_device_ref, 0}, "f32"));
    ck_ok(vx_model_weights(&packed, m, &(vx_site){&cls, 0}, "f32"));
    ck_assert(packed->blocks[0].fc2.k == 6000 && packed->blocks[0].fc2.n > PANEL);
    pair p = {.plain = plain};
    ck_ok(vx_visit_all(packed, m->arch.depth, compare, &p));
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_packing__happens_once_a_site)
{
    const vx_device_class cls = panelled();
    const vx_weights *first, *second, *again;
    vitx_model *m = open_model("vit-timm");
    ck_ok(vx_model_weights(&first, m, &(vx_site){&cls, 0}, "f32"));
    ck_ok(vx_model_weights(&second, m, &(vx_site){&cls, 1}, "auto"));
    const int packs = seen.packs;
    ck_ok(vx_model_weights(&again, m, &(vx_site){&cls, 1}, "f32"));
    ck_assert(first != second && again == second && seen.packs == packs);
    vitx_model_free(m);
}
END_TEST

START_TEST(test_packing__may_fail_anywhere)
{
    const vx_weights *w;
    for (int at = 1, more = 1; more; at++) {
        const vx_device_class cls = panelled();
        vitx_model *m = open_model("vit-timm");
        seen.fails_at = at;
        const int status = vx_model_weights(&w, m, &(vx_site){&cls, 0}, "f32");
        more = status != VITX_OK;
        if (more) {
            ck_assert_int_eq(status, VITX_DEVICE);
            ck_assert_str_eq(vitx_last_error(), "device panelled: the launch failed");
            ck_assert(w == NULL && m->packed == NULL);
        } else {
            ck_assert_int_gt(at, 4);
        }
        vitx_model_free(m);
    }
}
END_TEST

/* Drawn again with the bias and the LayerScale that hold then; the values are those of "plain". */
START_TEST(test_packing__is_done_again_by_randomising)
{
    const vx_device_class cls = panelled();
    const vx_weights *plain, *packed;
    vx_weights *mine[2];
    vitx_model *m = open_model("dinov2-timm-registers-swiglu");
    ck_ok(vx_model_weights(&plain, m, &(vx_site){&vx_device_ref, 0}, "f32"));
    ck_ok(vx_model_weights(&packed, m, &(vx_site){&cls, 0}, "f32"));
    ck_ok(vx_weights_copy(&mine[0], m, plain));
    ck_ok(vx_weights_copy(&mine[1], m, packed));
    const int before = seen.scaled;
    for (int part = 0; part < vx_randomise_parts(&m->arch); part++)
        for (int i = 0; i < 2; i++)
            ck_ok(vx_weights_randomise(mine[i], m, part, 3));
    ck_assert_int_eq(seen.scaled, 2 * before);
    pair p = {.plain = mine[0]};
    ck_ok(vx_visit_all(mine[1], m->arch.depth, compare, &p));
    seen.fails_at = seen.packs + 1;
    ck_fails(vx_weights_randomise(mine[1], m, 1, 3), VITX_DEVICE, "the launch failed");
    vx_weights_free(mine[0], m);
    vx_weights_free(mine[1], m);
    vitx_model_free(m);
}
END_TEST

/* ------------------------------------------------------------------ sites ------------------ */

START_TEST(test_site__is_found_by_name)
{
    char why[100];
    vx_site s;
    static const char *const firsts[] = {NULL, "cpu", "cpu:0"};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(vx_site_find(&s, firsts[i], why, sizeof why), 0);
        ck_assert(s.cls == vx_device_find("cpu") && s.ordinal == 0);
        ck_assert_str_eq(why, "");
    }
    static const char *const unknown[] = {"",      "toaster", "cpu:",    ":0",
                                          "cpu:x", "cpu:1x",  "cpu:0:0", "cpu:99999"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        ck_assert_int_eq(vx_site_find(&s, unknown[i], why, sizeof why), VX_DEVICE_UNKNOWN);
        ck_assert_str_eq(why, "");
    }
    ck_assert_int_eq(vx_site_find(&s, "cpu:1", why, sizeof why), VX_DEVICE_FAILED);
    ck_assert(strstr(why, "number 0"));
}
END_TEST

/* kernels/device.c with a table of its own. */
static int never(int ordinal, char *why, size_t why_size)
{
    snprintf(why, why_size, "no driver for number %d", ordinal);
    return VX_DEVICE_FAILED;
}

extern const vx_device_class vx_device_absent;
const vx_device_class vx_device_absent = {.name = "absent", .probe = never};

#undef VX_DEVICES
#define VX_DEVICES "test/absent.def"
#define vx_device_at absent_at
#define vx_device_find absent_find
#define vx_device_precision absent_precision
#define vx_site_find absent_site
const vx_device_class *absent_at(int index);
const vx_device_class *absent_find(const char *name);
const char *absent_precision(const vx_device_class *cls, const char *name);
int absent_site(vx_site *out, const char *name, char *why, size_t why_size);
#include "kernels/device.c"
#undef vx_device_at
#undef vx_device_find
#undef vx_device_precision
#undef vx_site_find

START_TEST(test_site__auto_skips_what_is_not_there)
{
    char why[100];
    vx_site s;
    ck_assert_ptr_eq(absent_at(0), &vx_device_absent);
    ck_assert_int_eq(absent_site(&s, "auto", why, sizeof why), 0);
    ck_assert_ptr_eq(s.cls, &vx_device_ref);
    ck_assert_str_eq(why, "absent: no driver for number 0");
    ck_assert_int_eq(absent_site(&s, "absent:3", why, sizeof why), VX_DEVICE_FAILED);
    ck_assert_str_eq(why, "no driver for number 3");
}
END_TEST

START_TEST(test_site__of_a_context)
{
    vitx_model *m = open_model("vit-timm");
    vitx_context *c;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.threads = 1;
    o.device = "cpu:0";
    ck_ok(vitx_context_create(&c, m, &o));
    vitx_context_free(c);
    o.device = "ref"; /* test/run.sh lets another stand in for it */
    ck_assert_int_eq(setenv("VX_TEST_DEVICE", "walled", 1), 0);
    ck_ok(vitx_context_create(&c, m, &o));
    ck_ok(vitx_context_get_info(&info, c));
    ck_assert_str_eq(info.device, "walled");
    vitx_context_free(c);
    o.device = "cpu:1";
    ck_fails(vitx_context_create(&c, m, &o), VITX_DEVICE, "device cpu:1: there is one");
    o.device = "gpu";
    ck_fails(vitx_context_create(&c, m, &o), VITX_DEVICE,
             "no device \"gpu\"; there are: cuda, cpu");
    vitx_model_free(m);
}
END_TEST

START_TEST(test_site__lists_its_packings)
{
    for (int i = 0; vx_device_at(i); i++) {
        vx_site s;
        char why[480];
        if (vx_site_find(&s, vx_device_at(i)->name, why, sizeof why) != 0) {
            ck_assert_str_eq(vx_device_at(i)->name, "cuda"); /* no other may be missing */
            continue;
        }
        const vx_device_class *cls = s.cls;
        for (int p = 0; cls->precision_at(p); p++)
            for (int layer = VX_LAYER_PATCH; layer <= 2 * VX_LAYER_HEAD + 1; layer++) {
                const vx_packing *packing =
                    cls->packing_for(cls->precision_at(p), (vx_layer)(layer / 2), layer % 2);
                int at = 0;
                while (cls->packings[at] && cls->packings[at] != packing)
                    at++;
                ck_assert_msg(cls->packings[at] != NULL, "%s: a packing that is not listed",
                              cls->name);
                ck_assert(packing->panel >= 1 && packing->bytes(3, 5) >= 15);
            }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("weights");
    TCase *t = tcase_create("table");
    tcase_add_test(t, test_members__streams_do_not_meet);
    tcase_add_test(t, test_members__are_of_their_group);
    tcase_add_test(t, test_naming__bases);
    tcase_add_test(t, test_naming__where_the_number_stands);
    suite_add_tcase(s, t);
    t = tcase_create("packing");
    tcase_add_loop_test(t, test_packing__gets_whole_panels_behind_bias_and_gamma, 0, MODELS);
    tcase_add_test(t, test_packing__gets_whole_panels_of_long_rows);
    tcase_add_test(t, test_packing__happens_once_a_site);
    tcase_add_test(t, test_packing__may_fail_anywhere);
    tcase_add_test(t, test_packing__is_done_again_by_randomising);
    suite_add_tcase(s, t);
    t = tcase_create("sites");
    tcase_add_test(t, test_site__is_found_by_name);
    tcase_add_test(t, test_site__auto_skips_what_is_not_there);
    tcase_add_test(t, test_site__of_a_context);
    tcase_add_test(t, test_site__lists_its_packings);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
