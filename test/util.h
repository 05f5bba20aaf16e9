/*
 * test/util.h: what the test programs share.
 *
 * A test program is test/test_<topic>.c: it defines one Suite and ends in VX_TEST_MAIN(suite).
 * Tolerances live here, by name, with their reason; golden files and what made them are described
 * in test/golden/README.md.
 */
#ifndef VX_TEST_UTIL_H
#define VX_TEST_UTIL_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Check writes to a file for each assertion that holds, to say after a crash where the test was.
 * Some tests make millions of assertions, and then that takes longer than the test: so Check is
 * told of a line once in a process. An assertion that fails says where it is as before. */
void mark_line(const char *file, int line);
#define _mark_point(file, line) mark_line(file, line)

/* f32 kernels against the scalar reference: largest difference over the largest reference value. */
#define TOL_KERNEL 1e-5
/* Long sums in another order (matrix products): normalised mean square, as ggml's backend tests. */
#define TOL_NMSE 1e-7
/* Gradients against finite differences in double. */
#define TOL_GRADIENT 1e-4
/* A model's logits against a float64 run: largest difference over the largest logit. */
#define TOL_LOGITS 1e-4
/* Attention rows and rollout against a float64 run: largest difference over the map's maximum. */
#define TOL_MAP 1e-4
/* Maps that are differences of nearly equal answers, or quotients: PyTorch's own float32 is off by
 * 2e-5 to 2e-4 there, case by case in test/golden/methods/cases.txt. */
#define TOL_MAP_WIDE 1e-3

/* Whether a sanitizer watches. It looks for ways through the code that harm memory: what only
 * repeats numbers is cut short there. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define SANITIZED_THREADS 1
#else
#define SANITIZED_THREADS 0
#endif
#if SANITIZED_THREADS || defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* "test/golden/<name>", or "../shared/data/<name>", in a static buffer that the next call reuses.
 * Tests run in the repository's root. */
const char *golden_path(const char *name);
const char *shared_path(const char *name);
/* Whether ../shared/data is there; prints one line saying that `what` is skipped if it is not. */
bool have_shared(const char *what);
/* Likewise, and no sanitizer watches, to which a real model says nothing that the tiny ones do not,
 * and takes minutes for it. */
bool have_real_model(const char *what);

/* Every folder of test/golden/models: a new one is tested from the start. May be called outside of
 * a test. */
enum { MOST_MODELS = 128 };
int model_folders(char (*folders)[128]);
/* Under a sanitizer about a quarter of them, by their names: most models run the same code. */
int fewer_folders(char (*folders)[128], int count);

/* A whole file in malloc'ed memory with a '\0' after it; fails the test if it is not there. */
void *read_file(const char *path, size_t *bytes);
void write_file(const char *path, const void *data, size_t bytes);
/* A fresh temporary folder, in malloc'ed memory; remove_folder deletes it with what it holds. */
char *make_folder(void);
void remove_folder(const char *path);

/* A .npy file of little-endian f4, f8, i4 or u1 in C order, as doubles. */
typedef struct npy {
    double *data;
    int rank;
    size_t shape[8], count;
} npy;
npy read_npy(const char *path);
void free_npy(npy *array);

/* Whether a method is defined for the context's model: some methods for certain heads are not,
 * which test_every_method.c checks. */
struct vitx_context;
struct vitx_explain_opts;
bool can_explain(struct vitx_context *c, const struct vitx_explain_opts *o);

/* Largest |a-b| over the largest |b|; a NaN anywhere gives infinity. */
double max_error_f32(const float *a, const double *b, size_t n);
double max_error_ff(const float *a, const float *b, size_t n);
/* sum (a-b)^2 / sum b^2; a NaN anywhere gives infinity. */
double nmse_ff(const float *a, const float *b, size_t n);

/* Repeatable numbers: the same seed gives the same sequence everywhere. */
typedef struct rng {
    uint64_t state;
} rng;
uint64_t rng_next(rng *r);
int rng_int(rng *r, int low, int high); /* low..high */
float rng_float(rng *r, float low, float high);
float rng_normal(rng *r);

/* ck_assert for a status: shows the message of the failure. */
#define ck_ok(expr)                                                                                \
    do {                                                                                           \
        const int ck_status_ = (expr);                                                             \
        ck_assert_msg(ck_status_ == 0, "%s gave %s: %s", #expr, vitx_status_name(ck_status_),      \
                      vitx_last_error());                                                          \
    } while (0)
/* A call must fail with that code and a message that holds `part`. */
#define ck_fails(expr, code, part)                                                                 \
    do {                                                                                           \
        const int ck_status_ = (expr);                                                             \
        ck_assert_msg(ck_status_ == (code), "%s gave %s, expected %s (%s)", #expr,                 \
                      vitx_status_name(ck_status_), vitx_status_name(code), vitx_last_error());    \
        ck_assert_msg(strstr(vitx_last_error(), part) != NULL,                                     \
                      "%s: the message \"%s\" lacks \"%s\"", #expr, vitx_last_error(), part);      \
    } while (0)

/* Memory that runs out: hooks whose payload is a ration. */
typedef struct ration {
    int left, live, calls; /* left < 0: no limit */
} ration;
void *ration_alloc(size_t bytes, void *payload);
void ration_release(void *memory, void *payload);

/* VX_TEST_SCHEDULE in the environment is the order in which threads of the GPUs' host twin run: a
 * vx_schedule of kernels/cuda/host/machine.h. */
int run_suite(Suite *suite);
#define VX_TEST_MAIN(suite)                                                                        \
    int main(void)                                                                                 \
    {                                                                                              \
        return run_suite(suite());                                                                 \
    }

#endif
