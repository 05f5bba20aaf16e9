/* Quotas of control groups, in made-up trees: base/cpus.h; and workers beyond the processors.
 * VX_TEST_THREADS */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/pool.h"
#include "util.h"

#define V1 "32 31 0:29 / /cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
#define V2 "30 23 0:26 / /all rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHERS                                                                                     \
    "21 23 0:20 / /sys rw - sysfs sysfs rw\n33 31 0:30 / /set rw - cgroup cgroup rw,cpuset\n"

/* A file below the tree and what it holds. */
typedef struct leaf {
    const char *path, *text;
} leaf;

static const struct {
    const char *what, *groups, *mounts;
    leaf files[4];
    int cpus;
} trees[] = {
    {"no quota in version 1",
     "4:cpu,cpuacct:/a\n",
     OTHERS V1,
     {{"cpu/a/cpu.cfs_quota_us", "-1\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}},
     0},
    {"half a processor is one",
     "4:cpu,cpuacct:/a\n",
     OTHERS V1,
     {{"cpu/a/cpu.cfs_quota_us", "50000\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}},
     1},
    {"exactly three",
     "9:name=systemd:/b\n4:cpuacct,cpu:/a\n",
     OTHERS V1,
     {{"cpu/a/cpu.cfs_quota_us", "300000"}, {"cpu/a/cpu.cfs_period_us", "100000"}},
     3},
    {"cpuset and cpuacct are not cpu",
     "3:cpuset,cpuacct:/a\n",
     OTHERS V1,
     {{"cpu/a/cpu.cfs_quota_us", "300000"}, {"cpu/a/cpu.cfs_period_us", "100000"}},
     0},
    {"a quota above the group",
     "4:cpu:/a/b/c\n",
     V1,
     {{"cpu/a/cpu.cfs_quota_us", "150000\n"},
      {"cpu/a/cpu.cfs_period_us", "100000\n"},
      {"cpu/a/b/c/cpu.cfs_quota_us", "400000\n"},
      {"cpu/a/b/c/cpu.cfs_period_us", "100000\n"}},
     2},
    {"a quota at the mount's own group",
     "4:cpu:/a/b\n",
     V1,
     {{"cpu/cpu.cfs_quota_us", "250000\n"}, {"cpu/cpu.cfs_period_us", "50000\n"}},
     5},
    {"a container that sees its own group only",
     "4:cpu:/docker/77\n",
     "32 31 0:29 /docker/77 /cpu rw - cgroup cgroup rw,cpu\n",
     {{"cpu/cpu.cfs_quota_us", "200000\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}},
     2},
    {"a name that the mount does not show",
     "4:cpu:/docker/77\n",
     "32 31 0:29 /kubepods/9 /cpu rw - cgroup cgroup rw,cpu\n",
     {{"cpu/cpu.cfs_quota_us", "200000\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}},
     2},
    {"a group whose name is the beginning of another's",
     "4:cpu:/docker/77\n",
     "32 31 0:29 /docker/7 /no rw - cgroup cgroup rw,cpu\n" V1,
     {{"no/cpu.cfs_quota_us", "100000\n"},
      {"no/cpu.cfs_period_us", "100000\n"},
      {"cpu/docker/cpu.cfs_quota_us", "700000\n"},
      {"cpu/docker/cpu.cfs_period_us", "100000\n"}},
     7},
    {"version 2 without a quota", "0::/app\n", V2, {{"all/app/cpu.max", "max 100000\n"}}, 0},
    {"one and a half in version 2",
     "0::/app\n",
     OTHERS V2,
     {{"all/app/cpu.max", "150000 100000\n"}},
     2},
    {"above it in version 2",
     "0::/a/b\n",
     V2,
     {{"all/a/b/cpu.max", "max 100000\n"},
      {"all/a/cpu.max", "400000 100000\n"},
      {"all/cpu.max", "900000 100000\n"}},
     4},
    {"in a namespace of its own", "0::/\n", V2, {{"all/cpu.max", "100000 100000\n"}}, 1},
    {"both versions at once: version 1 has the processors",
     "4:cpu:/a\n0::/a\n",
     V1 V2,
     {{"cpu/a/cpu.cfs_quota_us", "300000\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}},
     3},
    {"both have a quota",
     "4:cpu:/a\n0::/a\n",
     V1 V2,
     {{"cpu/a/cpu.cfs_quota_us", "300000\n"},
      {"cpu/a/cpu.cfs_period_us", "100000\n"},
      {"all/a/cpu.max", "200000 100000\n"}},
     2},
    {"a blank in the name of a mount",
     "0::/\n",
     "30 23 0:26 / /a\\040b rw - cgroup2 cgroup2 rw\n",
     {{"a b/cpu.max", "100000 100000\n"}},
     1},
    {"a group beside the namespace", "0::/../x\n", V2, {{"all/cpu.max", "100000 100000\n"}}, 0},
    {"no end of the line",
     "0::/app",
     "30 23 0:26 / /all rw - cgroup2 cgroup2 rw",
     {{"all/app/cpu.max", "100000 100000"}},
     1},
    {"a period of 0", "0::/\n", V2, {{"all/cpu.max", "100000 0\n"}}, 0},
    {"a quota of 0", "0::/\n", V2, {{"all/cpu.max", "0 100000\n"}}, 0},
    {"a period below 0", "0::/\n", V2, {{"all/cpu.max", "100000 -5\n"}}, 0},
    {"no period", "0::/\n", V2, {{"all/cpu.max", "100000\n"}}, 0},
    {"an empty file", "0::/\n", V2, {{"all/cpu.max", ""}}, 0},
    {"words", "0::/\n", V2, {{"all/cpu.max", "many few\n"}}, 0},
    {"a number and more", "0::/\n", V2, {{"all/cpu.max", "100000x 100000\n"}}, 0},
    {"a number out of range",
     "0::/\n",
     V2,
     {{"all/cpu.max", "99999999999999999999999 100000\n"}},
     0},
    {"more than any machine has", "0::/\n", V2, {{"all/cpu.max", "9223372036854775807 1\n"}}, 0},
    {"lines that are none",
     "\n:\n::\n0:\n4:cpu\nx:y:z\n",
     "\n - \n - a b c\n1 2 3 4 5 - cgroup\n",
     {{NULL, NULL}},
     0},
    {"mounts without a group", "", V1 V2, {{"all/cpu.max", "100000 100000\n"}}, 0},
};

static void put(const char *root, const char *path, const char *text)
{
    char name[300];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *p = name + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        mkdir(name, 0700);
    }
    write_file(name, text, strlen(text));
}

START_TEST(test_quota__is_that_of_the_group_or_one_above)
{
    char *root = make_folder();
    put(root, "proc/self/cgroup", trees[_i].groups);
    put(root, "proc/self/mountinfo", trees[_i].mounts);
    for (int i = 0; i < 4 && trees[_i].files[i].path; i++)
        put(root, trees[_i].files[i].path, trees[_i].files[i].text);
    const int cpus = vx_cpu_quota(root);
    ck_assert_msg(cpus == trees[_i].cpus, "%s: %d processors, expected %d", trees[_i].what, cpus,
                  trees[_i].cpus);
    remove_folder(root);
    free(root);
}
END_TEST

/* Lines longer than any buffer, a folder and a pipe in the place of a file: no quota, and no
 * waiting. */
START_TEST(test_quota__nothing_hostile_does_harm)
{
    char *root = make_folder(), name[300], *longer = malloc(50001);
    ck_assert_int_eq(vx_cpu_quota(root), 0);
    ck_assert_int_eq(vx_cpu_quota("/nowhere/at/all"), 0);
    memset(longer, '/', 50000);
    longer[50000] = '\0';
    ck_assert_int_eq(vx_cpu_quota(longer), 0);
    put(root, "proc/self/mountinfo", longer);
    put(root, "proc/self/cgroup", longer);
    ck_assert_int_eq(vx_cpu_quota(root), 0);
    memcpy(longer, "0::", 3);
    longer[9000] = '\n';
    strcpy(longer + 9001, "0::/app\n");
    put(root, "proc/self/cgroup", longer); /* the line behind the long one is read */
    put(root, "proc/self/mountinfo", OTHERS V2);
    put(root, "all/app/cpu.max", "300000 100000\n");
    ck_assert_int_eq(vx_cpu_quota(root), 3);
    snprintf(name, sizeof name, "%s/all/app/cpu.max", root);
    ck_assert_int_eq(remove(name), 0);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    ck_assert_int_eq(vx_cpu_quota(root), 0);
    ck_assert_int_eq(rmdir(name), 0);
    ck_assert_int_eq(mkfifo(name, 0600), 0);
    ck_assert_int_eq(vx_cpu_quota(root), 0);
    remove_folder(root);
    free(longer);
    free(root);
}
END_TEST

START_TEST(test_count__is_at_least_one_and_at_most_the_quota)
{
    const int quota = vx_cpu_quota("");
    ck_assert_int_ge(vx_cpu_count(), 1);
    ck_assert(quota == 0 || vx_cpu_count() <= quota);
}
END_TEST

#ifdef __linux__
START_TEST(test_count__follows_the_affinity)
{
    cpu_set_t before, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_COUNT(&one) == 0 && CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(vx_cpu_count(), 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
}
END_TEST
#endif

static void count_one(void *arg, int i, int worker)
{
    atomic_int *done = arg;
    ck_assert(worker >= 0 && worker < 64);
    atomic_fetch_add(&done[i], 1);
}

/* Many more workers than processors: each number is done once, run after run. */
START_TEST(test_pool__more_workers_than_processors)
{
    vitx_hooks hooks;
    vx_pool *pool;
    static atomic_int done[100];
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_pool_create(&pool, &hooks, 64));
    ck_assert_int_eq(vx_pool_threads(pool), 64);
    for (int run = 1; run <= 2000; run++) {
        vx_pool_run(pool, count_one, done, 1 + run % 100);
        if (run % 500 == 0)
            usleep(2000); /* so that all sleep */
    }
    for (int i = 0; i < 100; i++) /* a run of n does 0..n-1, and each n comes 20 times */
        ck_assert_int_eq(atomic_load(&done[i]), 20 * (100 - i));
    vx_pool_free(pool);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cpus");
    TCase *t = tcase_create("cpus");
    tcase_add_loop_test(t, test_quota__is_that_of_the_group_or_one_above, 0,
                        (int)(sizeof trees / sizeof trees[0]));
    tcase_add_test(t, test_quota__nothing_hostile_does_harm);
    tcase_add_test(t, test_count__is_at_least_one_and_at_most_the_quota);
#ifdef __linux__
    tcase_add_test(t, test_count__follows_the_affinity);
#endif
    tcase_add_test(t, test_pool__more_workers_than_processors);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
