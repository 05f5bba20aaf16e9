#define _GNU_SOURCE /* mkdtemp */
#include "util.h"
#include "kernels/cuda/host/machine.h"

#include <dirent.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vitx/vitx.h>

/* Lines of two files may share a place: then Check is told of the first one. */
void mark_line(const char *file, int line)
{
    enum { LINES = 4096 };
    static atomic_bool told[LINES];
    atomic_bool *mark = &told[line % LINES];
    if (atomic_load_explicit(mark, memory_order_relaxed))
        return;
    atomic_store_explicit(mark, true, memory_order_relaxed);
    (_mark_point)(file, line);
}

static const char *join(const char *folder, const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

const char *golden_path(const char *name)
{
    return join("test/golden", name);
}

const char *shared_path(const char *name)
{
    return join("../shared/data", name);
}

bool have_shared(const char *what)
{
    struct stat s;
    if (stat("../shared/data/README.md", &s) == 0)
        return true;
    printf("skipped: %s needs ../shared/data, which is not here\n", what);
    return false;
}

bool have_real_model(const char *what)
{
    if (SANITIZED)
        printf("skipped: %s, under a sanitizer\n", what);
    return !SANITIZED && have_shared(what);
}

int model_folders(char (*folders)[128])
{
    DIR *dir = opendir("test/golden/models");
    int count = 0;
    for (struct dirent *e; dir && (e = readdir(dir)) && count < MOST_MODELS;) {
        char path[512];
        struct stat s;
        snprintf(path, sizeof path, "test/golden/models/%s", e->d_name);
        if (e->d_name[0] != '.' && stat(path, &s) == 0 && S_ISDIR(s.st_mode))
            snprintf(folders[count++], sizeof folders[0], "test/golden/models/%.90s", e->d_name);
    }
    if (dir)
        closedir(dir);
    return count;
}

int fewer_folders(char (*folders)[128], int count)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        unsigned sum = 0;
        for (const char *c = folders[i]; *c; c++)
            sum += (unsigned char)*c;
        if (SANITIZED && sum % 4)
            continue;
        if (left < i)
            memcpy(folders[left], folders[i], sizeof folders[0]);
        left++;
    }
    return left;
}

bool can_explain(vitx_context *c, const vitx_explain_opts *o)
{
    size_t bytes;
    return vitx_explain_bytes(&bytes, c, o, 1) != VITX_UNSUPPORTED;
}

void *read_file(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is missing", path);
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    char *data = malloc((size_t)size + 1);
    ck_assert(data != NULL);
    ck_assert_uint_eq(fread(data, 1, (size_t)size, f), (size_t)size);
    fclose(f);
    data[size] = '\0';
    if (bytes)
        *bytes = (size_t)size;
    return data;
}

void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f != NULL, "cannot write %s", path);
    if (bytes)
        ck_assert_uint_eq(fwrite(data, 1, bytes, f), bytes);
    ck_assert_int_eq(fclose(f), 0);
}

char *make_folder(void)
{
    char *path = malloc(64);
    ck_assert(path != NULL);
    strcpy(path, "build/test-XXXXXX");
    ck_assert(mkdtemp(path) != NULL);
    return path;
}

void remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char name[2048];
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        struct stat s;
        if (lstat(name, &s) == 0 && S_ISDIR(s.st_mode))
            remove_folder(name);
        else
            unlink(name);
    }
    closedir(dir);
    rmdir(path);
}

static double npy_value(const unsigned char *p, char kind, int size)
{
    if (kind == 'f' && size == 4) {
        float v;
        memcpy(&v, p, 4);
        return v;
    }
    if (kind == 'f') {
        double v;
        memcpy(&v, p, 8);
        return v;
    }
    if (kind == 'i') {
        int32_t v;
        memcpy(&v, p, 4);
        return v;
    }
    return *p;
}

npy read_npy(const char *path)
{
    size_t bytes;
    unsigned char *file = read_file(path, &bytes);
    ck_assert_msg(bytes > 10 && memcmp(file, "\x93NUMPY\x01", 7) == 0, "%s is no npy file", path);
    const size_t header = 10 + (size_t)(file[8] | file[9] << 8);
    ck_assert(header <= bytes);
    const char *text = (const char *)file + 10;
    const char *descr = strstr(text, "'descr': '");
    const char *shape = strstr(text, "'shape': (");
    ck_assert(descr && shape && strstr(text, "'fortran_order': False"));
    const char kind = descr[11];
    const int size = atoi(descr + 12);
    npy a = {.count = 1};
    for (const char *p = shape + 10; *p && *p != ')';) {
        char *end;
        const unsigned long n = strtoul(p, &end, 10);
        if (end == p) {
            p++;
            continue;
        }
        a.shape[a.rank++] = n;
        a.count *= n;
        p = end;
    }
    ck_assert_uint_eq(bytes - header, a.count * (size_t)size);
    a.data = malloc(a.count * sizeof *a.data + 1);
    ck_assert(a.data != NULL);
    for (size_t i = 0; i < a.count; i++)
        a.data[i] = npy_value(file + header + i * (size_t)size, kind, size);
    free(file);
    return a;
}

void free_npy(npy *array)
{
    free(array->data);
    *array = (npy){0};
}

double max_error_f32(const float *a, const double *b, size_t n)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - b[i]);
        if (!(d <= 1e300))
            return INFINITY;
        worst = fmax(worst, d);
        largest = fmax(largest, fabs(b[i]));
    }
    return largest > 0 ? worst / largest : worst;
}

double max_error_ff(const float *a, const float *b, size_t n)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= 1e300))
            return INFINITY;
        worst = fmax(worst, d);
        largest = fmax(largest, fabs((double)b[i]));
    }
    return largest > 0 ? worst / largest : worst;
}

double nmse_ff(const float *a, const float *b, size_t n)
{
    double error = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        if (!(fabs(d) <= 1e300))
            return INFINITY;
        error += d * d;
        power += (double)b[i] * (double)b[i];
    }
    return power > 0 ? error / power : error;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t rng_next(rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int rng_int(rng *r, int low, int high)
{
    return low + (int)(rng_next(r) % (uint64_t)((int64_t)high - low + 1));
}

float rng_float(rng *r, float low, float high)
{
    return low + (high - low) * (float)(rng_next(r) >> 40) / 16777216.0f;
}

float rng_normal(rng *r)
{
    double sum = 0; /* Irwin-Hall: twelve uniforms, variance 1 */
    for (int i = 0; i < 12; i++)
        sum += (double)(rng_next(r) >> 11) / 9007199254740992.0;
    return (float)(sum - 6);
}

void *ration_alloc(size_t bytes, void *payload)
{
    ration *r = payload;
    r->calls++;
    if (r->left == 0)
        return NULL;
    r->left -= r->left > 0;
    r->live++;
    return malloc(bytes);
}

void ration_release(void *memory, void *payload)
{
    ((ration *)payload)->live--;
    free(memory);
}

int run_suite(Suite *suite)
{
    const char *schedule = getenv("VX_TEST_SCHEDULE");
    SRunner *runner = srunner_create(suite);
    if (schedule)
        vx_machine_schedule(atoi(schedule));
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
