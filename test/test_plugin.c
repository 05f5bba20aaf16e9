/*
 * test_plugin.c: the device "cuda" comes from a plug-in (kernels/plugin.h). The plug-ins here are
 * the scalar reference under that name, test/plugin/fake.c, and files that are no plug-ins.
 * cli_device.sh has the rest: where vitx-cli looks for it, and what it says.
 * VX_TEST_THREADS
 */
#define _XOPEN_SOURCE 700
#include "kernels/plugin.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "util.h"

enum { THREADS = 8 };

/* test/plugin/abi.cpp: as it is, with another version, with a struct of one member more. */
uint64_t abi_of_cpp(void);
uint64_t abi_of_version(void);
uint64_t abi_of_struct(void);

/* From the folder of this program. */
#define FAKE "plugin/libvitx-fake.so"
#define NOTHING "plugin/libvitx-nothing.so"

static const char *own_folder(void)
{
    static char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    ck_assert(length > 0);
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    return path;
}

static void join(char *path, const char *folder, const char *name)
{
    ck_assert_int_lt(snprintf(path, 4096, "%s/%s", folder, name), 4096);
}

/* A fresh folder by its full path, in malloc'ed memory. */
static char *full_folder(void)
{
    char *folder = make_folder(), *full = realpath(folder, NULL);
    ck_assert_ptr_nonnull(full);
    free(folder);
    return full;
}

static vx_plugin of_file(const char *file, const char *folder)
{
    return (vx_plugin){.file = file, .folder = folder, .lock = PTHREAD_MUTEX_INITIALIZER};
}

static void expect_failure(vx_plugin *p, const char *path, const char *says)
{
    char why[5000] = "";
    ck_assert_ptr_null(vx_plugin_load(p, path, why, sizeof why));
    ck_assert_msg(strstr(why, says) != NULL, "\"%s\" lacks \"%s\"", why, says);
    ck_assert_ptr_null(strchr(why, '\n'));
    char few[20];
    ck_assert_ptr_null(vx_plugin_load(p, path, few, sizeof few));
    ck_assert_int_lt((int)strlen(few), (int)sizeof few);
}

START_TEST(test_abi__is_one_number_in_c_and_cpp)
{
    ck_assert_uint_eq(vx_plugin_abi(), abi_of_cpp());
    ck_assert_uint_ne(vx_plugin_abi(), abi_of_version());
    ck_assert_uint_ne(vx_plugin_abi(), abi_of_struct());
}
END_TEST

START_TEST(test_plugin__is_found_beside_then_in_its_folder)
{
    char why[500] = "", path[4096], inner[4096];
    vx_plugin beside = of_file(FAKE, ""), nowhere = of_file("libvitx-no.so", "/no folder");
    const vx_device_class *cls = vx_plugin_load(&beside, NULL, why, sizeof why);
    ck_assert_msg(cls != NULL, "%s", why);
    ck_assert_str_eq(cls->name, "cuda");
    ck_assert_ptr_eq(vx_plugin_load(&beside, NULL, why, sizeof why), cls);
    expect_failure(&nowhere, NULL, "libvitx-no.so not found beside the library or in /no folder");

    char *folder = full_folder();
    join(inner, folder, "plugin");
    ck_assert_int_eq(mkdir(inner, 0700), 0);
    join(path, folder, FAKE);
    write_file(path, "no plug-in", 10);
    vx_plugin first = of_file(FAKE, folder); /* what is beside comes first */
    ck_assert_msg(vx_plugin_load(&first, NULL, why, sizeof why) != NULL, "%s", why);

    char target[4096];
    join(target, own_folder(), FAKE);
    join(path, folder, "libvitx-other.so");
    ck_assert_int_eq(symlink(target, path), 0);
    vx_plugin second = of_file("libvitx-other.so", folder);
    vx_plugin working = of_file("libvitx-other.so", strrchr(folder, '/') + 1); /* no full path */
    expect_failure(&working, NULL, "not found");
    ck_assert_msg(vx_plugin_load(&second, NULL, why, sizeof why) == cls, "%s", why);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_plugin__says_what_is_wrong_with_a_file)
{
    char path[4096];
    char *folder = full_folder();
    vx_plugin p = of_file(FAKE, "");
    join(path, folder, "missing.so");
    expect_failure(&p, path, "missing.so cannot be loaded: ");
    expect_failure(&p, path, "No such file");
    expect_failure(&p, folder, " cannot be loaded: ");
    join(path, folder, "text.so");
    write_file(path,
               "\177ELF, says this text, which is none for all that it has to say in 64 bytes", 70);
    expect_failure(&p, path, "text.so cannot be loaded: ");
    write_file(path, "", 0);
    expect_failure(&p, path, "text.so cannot be loaded: file too short");
    join(path, folder, "link.so");
    ck_assert_int_eq(symlink("to nothing", path), 0);
    expect_failure(&p, path, "link.so cannot be loaded: ");
    join(path, own_folder(), NOTHING);
    expect_failure(&p, path, "libvitx-nothing.so is no plug-in of vitx");
    join(path, own_folder(), FAKE);
    ck_assert_int_eq(setenv("FAKE_VERSION", "other", 1), 0);
    expect_failure(&p, path, "libvitx-fake.so belongs to another version of vitx");
    ck_assert_int_eq(unsetenv("FAKE_VERSION"), 0);
    char why[500];
    ck_assert_ptr_nonnull(vx_plugin_load(&p, path, why, sizeof why)); /* no failure is kept */
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_plugin__stays_the_one_that_was_loaded)
{
    char why[5000], path[4096], linked[4096];
    char *folder = full_folder();
    vx_plugin p = of_file(FAKE, "");
    join(path, own_folder(), FAKE);
    const vx_device_class *cls = vx_plugin_load(&p, path, why, sizeof why);
    ck_assert_ptr_nonnull(cls);
    ck_assert_ptr_eq(vx_plugin_load(&p, path, why, sizeof why), cls);
    join(linked, folder, "the same.so");
    ck_assert_int_eq(symlink(path, linked), 0);
    ck_assert_ptr_eq(vx_plugin_load(&p, linked, why, sizeof why), cls);
    join(path, own_folder(), NOTHING);
    expect_failure(&p, path, "another plug-in than ");
    expect_failure(&p, "/no/such.so", "another plug-in than /no/such.so is in use");
    ck_assert_ptr_eq(vx_plugin_load(&p, NULL, why, sizeof why), cls);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* ------------------------------------------------------------------ threads ---------------- */

static vx_plugin shared;

static void *load_shared(void *out)
{
    char why[500];
    *(const vx_device_class **)out = vx_plugin_load(&shared, NULL, why, sizeof why);
    return NULL;
}

START_TEST(test_plugin__is_loaded_by_several_threads_at_once)
{
    pthread_t threads[THREADS];
    const vx_device_class *got[THREADS] = {NULL};
    shared = of_file(FAKE, "");
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, load_shared, &got[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert(got[i] != NULL && got[i] == got[0]);
}
END_TEST

/* ------------------------------------------------------------------ contexts --------------- */

/* What a program's hooks see. */
typedef struct watch {
    ration memory; /* the first member: the hooks' payload is both */
    char log[500]; /* the last line about a device */
} watch;

static const watch plenty = {.memory = {.left = -1}};

static void hear(vitx_log_level level, const char *line, void *payload)
{
    if (level == VITX_LOG_DEBUG && strncmp(line, "device ", 7) == 0)
        snprintf(((watch *)payload)->log, sizeof((watch *)payload)->log, "%s", line);
}

static vitx_model *open_model(watch *w)
{
    vitx_model *m;
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    hooks.alloc = ration_alloc;
    hooks.release = ration_release;
    hooks.log = hear;
    hooks.payload = w;
    o.hooks = &hooks;
    ck_ok(vitx_model_open(&m, golden_path("models/vit-timm"), &o));
    return m;
}

static int create(vitx_context **c, vitx_model *m, const char *device)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.device = device;
    o.threads = 1;
    return vitx_context_create(c, m, &o);
}

static void expect_context(vitx_model *m, const char *device, const char *is, const char *kernels)
{
    vitx_context *c;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(create(&c, m, device));
    ck_ok(vitx_context_get_info(&info, c));
    ck_assert_str_eq(info.device, is);
    ck_assert_ptr_nonnull(strstr(info.kernels, kernels));
    vitx_context_free(c);
}

/* The same logits, to the bit, as from the device whose operations these are. */
static void expect_answers_of_ref(vitx_model *m)
{
    static const char *const devices[] = {"ref", "cuda"};
    vitx_prediction top[2][3];
    vitx_image *image;
    ck_ok(vitx_image_open(&image, golden_path("models/picture.png")));
    for (int i = 0; i < 2; i++) {
        vitx_context *c;
        ck_ok(create(&c, m, devices[i]));
        ck_ok(vitx_classify(c, image, top[i], 3));
        vitx_context_free(c);
    }
    for (int k = 0; k < 3; k++)
        ck_assert(top[0][k].index == top[1][k].index && top[0][k].logit == top[1][k].logit);
    vitx_image_free(image);
}

static void load_fake(void)
{
    char path[4096];
    join(path, own_folder(), FAKE);
    ck_ok(vitx_device_load(path));
    ck_ok(vitx_device_load(path));
}

START_TEST(test_device__is_loaded_from_a_path)
{
    ck_fails(vitx_device_load(NULL), VITX_INVALID, "path is NULL");
    ck_fails(vitx_device_load(""), VITX_INVALID, "a full path is needed");
    ck_fails(vitx_device_load("libvitx-cuda.so.0"), VITX_INVALID, "path is libvitx-cuda.so.0");
    ck_fails(vitx_device_load("/no/such.so"), VITX_DEVICE, "device cuda: ");
    load_fake();
    ck_fails(vitx_device_load("/no/such.so"), VITX_DEVICE, "in use");
    ck_assert_str_eq(vx_device_find("cuda")->name, "cuda");
    watch w = plenty;
    vitx_model *m = open_model(&w);
    vitx_context *c;
    expect_context(m, "cuda", "cuda", "fake 0");
    expect_context(m, "cuda:1", "cuda", "fake 1");
    expect_context(m, "auto", "cuda", "fake 0");
    ck_assert_str_eq(w.log, "");
    ck_fails(create(&c, m, "cuda:2"), VITX_DEVICE, "device cuda:2: no GPU number 2");
    expect_answers_of_ref(m);
    vitx_model_free(m);
    ck_assert_int_eq(w.memory.live, 0);
}
END_TEST

/* What plugin.h lets probe say. */
static const char *const reasons[] = {
    "no NVIDIA driver",
    "the driver knows CUDA 12.4, this build needs 13.0",
    "libcuda.so is a stub",
    "no GPU: no CUDA-capable device is detected",
    "Tesla T4 has compute capability 7.5, 8.0 is needed",
};

START_TEST(test_device__says_why_it_is_not_there)
{
    watch w = plenty;
    vitx_context *c;
    vitx_precision_info p = VITX_PRECISION_INFO_INIT;
    char line[200];
    load_fake();
    vitx_model *m = open_model(&w);
    ck_assert_int_eq(setenv("FAKE_PROBE", reasons[_i], 1), 0);
    snprintf(line, sizeof line, "device cuda: %s", reasons[_i]);
    ck_fails(create(&c, m, "cuda"), VITX_DEVICE, line);
    ck_assert_str_eq(vitx_last_error(), line);
    ck_assert_str_eq(w.log, "");
    ck_fails(vitx_precision_get(&p, "cuda", 0), VITX_DEVICE, line);
    expect_context(m, "auto", "cpu", "");
    ck_assert_str_eq(w.log, line);
    ck_assert_int_eq(unsetenv("FAKE_PROBE"), 0);
    ck_ok(vitx_precision_get(&p, "cuda", 0));
    vitx_model_free(m);
    ck_assert_int_eq(w.memory.live, 0);
}
END_TEST

START_TEST(test_device__fails_while_at_work)
{
    watch w = plenty;
    vitx_context *c;
    load_fake();
    vitx_model *m = open_model(&w);
    ck_assert_int_eq(setenv("FAKE_MEMORY", "800 bytes, 70 free of 9000", 1), 0);
    ck_fails(create(&c, m, "cuda"), VITX_NOMEM, "device cuda: 800 bytes, 70 free of 9000");
    ck_assert_int_eq(unsetenv("FAKE_MEMORY"), 0);
    ck_ok(create(&c, m, "cuda"));
    vitx_image *image;
    vitx_prediction top;
    ck_ok(vitx_image_open(&image, golden_path("models/picture.png")));
    ck_assert_int_eq(setenv("FAKE_SYNC", "linear: an illegal memory access", 1), 0);
    ck_fails(vitx_classify(c, image, &top, 1), VITX_DEVICE, "linear: an illegal memory access");
    ck_assert_int_eq(unsetenv("FAKE_SYNC"), 0);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(m);
    ck_assert_int_eq(w.memory.live, 0);
}
END_TEST

START_TEST(test_device__frees_all_after_a_failed_allocation)
{
    watch w = plenty;
    vitx_context *c;
    load_fake();
    vitx_model *m = open_model(&w);
    int status = VITX_NOMEM, allocations = 0;
    for (; status == VITX_NOMEM; allocations++) {
        w.memory.left = allocations;
        status = create(&c, m, "cuda");
    }
    w.memory.left = -1;
    ck_assert_int_eq(status, VITX_OK);
    ck_assert_int_gt(allocations, 10);
    vitx_context_free(c);
    vitx_model_free(m);
    ck_assert_int_eq(w.memory.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("plugin");
    TCase *t = tcase_create("files");
    tcase_add_test(t, test_abi__is_one_number_in_c_and_cpp);
    tcase_add_test(t, test_plugin__is_found_beside_then_in_its_folder);
    tcase_add_test(t, test_plugin__says_what_is_wrong_with_a_file);
    tcase_add_test(t, test_plugin__stays_the_one_that_was_loaded);
    tcase_add_test(t, test_plugin__is_loaded_by_several_threads_at_once);
    suite_add_tcase(s, t);
    t = tcase_create("contexts");
    tcase_add_test(t, test_device__is_loaded_from_a_path);
    tcase_add_loop_test(t, test_device__says_why_it_is_not_there, 0,
                        (int)(sizeof reasons / sizeof reasons[0]));
    tcase_add_test(t, test_device__fails_while_at_work);
    tcase_add_test(t, test_device__frees_all_after_a_failed_allocation);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
