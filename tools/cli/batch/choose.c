/* batch/choose.c: see choose.h. */
#include "choose.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/say.h"

/* Digits, up to `end`; -1: something else. */
static int number(const char *text, const char **end)
{
    long n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && n < INT_MAX; p++)
        n = 10 * n + (*p - '0');
    *end = p;
    return p == text || n >= INT_MAX ? -1 : (int)n;
}

static int number_of(const char *text)
{
    const char *end;
    const int n = text ? number(text, &end) : -1;
    return n >= 0 && *end == '\0' ? n : -1;
}

/* ------------------------------------------------------------------ --shard ---------------- */

/* The variables in which an engine tells a worker its place: number, the first one and the step
 * from one to the next, and how many there are; count NULL: the engine does not say that. */
struct engine {
    const char *number, *count, *first, *step;
    int from; /* the first one where no variable says it */
};

static const struct engine arrays[] = {{"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT",
                                        "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", 0}};
/* In this order: mpirun within Slurm starts its own ranks, and Slurm's number is the machine's. */
static const struct engine ranks[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL, NULL, 0},
    {"PMI_RANK", "PMI_SIZE", NULL, NULL, 0},
    {"SLURM_PROCID", "SLURM_NTASKS", NULL, NULL, 0}};
static const struct engine others[] = {{"JOB_COMPLETION_INDEX", NULL, NULL, NULL, 0},
                                       {"PARALLEL_SEQ", NULL, NULL, NULL, 1}};
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static int variable(const char *name)
{
    return name ? number_of(getenv(name)) : -1;
}

/* The first of the engines that has started this process; NULL: none. count: of workers, where the
 * engine does not say it. */
static const struct engine *find(const struct engine *engines, int n, int count, int *place,
                                 int *workers)
{
    for (int i = 0; i < n; i++) {
        const struct engine *e = &engines[i];
        const int at = variable(e->number), first = variable(e->first), step = variable(e->step);
        const int all = e->count ? variable(e->count) : count;
        const int where = (at - (first >= 0 ? first : e->from)) / (step > 0 ? step : 1);
        if (at < 0 || all < 1 || where < 0 || where >= all)
            continue;
        *place = where;
        *workers = all;
        return e;
    }
    return NULL;
}

/* An array whose tasks have several ranks each has as many workers as their product. */
static const char *find_share(struct choice *out, int count)
{
    int task = 0, tasks = 1, rank = 0, size = 1;
    const struct engine *array = find(arrays, COUNT(arrays), -1, &task, &tasks);
    const struct engine *ranked = find(ranks, COUNT(ranks), -1, &rank, &size);
    if (!array && !ranked)
        ranked = find(others, COUNT(others), count, &rank, &size);
    if ((!array && !ranked) || tasks > INT_MAX / size)
        return NULL;
    out->share = task * size + rank;
    out->shares = tasks * size;
    return array && size == 1 ? array->number : ranked->number;
}

static int choose_auto(struct choice *out, const char *text, bool quiet)
{
    int count = number_of(getenv("VITX_SHARDS"));
    if (text[4] == '/')
        count = number_of(text + 5);
    if (text[4] && (text[4] != '/' || count < 1))
        return wrong_usage("--shard is \"%s\", it takes I/N, auto or auto/N", text);
    const char *by = find_share(out, count);
    if (!by)
        return wrong_usage(
            "--shard auto: no Slurm, MPI, Kubernetes or GNU parallel has said in the "
            "environment which worker this is; --shard auto/N says how many there "
            "are where they do not, --shard I/N says all");
    if (!quiet)
        complain("shard", "%d/%d by %s", out->share, out->shares, by);
    return DONE;
}

static int choose_share(struct choice *out, const char *text)
{
    const char *end;
    out->share = number(text, &end);
    out->shares = *end == '/' ? number_of(end + 1) : -1;
    if (out->share >= 0 && out->share < out->shares)
        return DONE;
    return wrong_usage("--shard is \"%s\", it takes I/N with I from 0 to N-1, auto or auto/N",
                       text);
}

/* ------------------------------------------------------------------ --shards --------------- */

/* N or N-M */
static bool range_of(const char *text, int *low, int *high)
{
    const char *end;
    *low = *high = number(text, &end);
    if (*end == '-')
        *high = number_of(end + 1);
    else if (*end)
        return false;
    return *low >= 0 && *high >= *low;
}

int choose(struct choice *out, const char *shard, const struct list *list, bool quiet)
{
    int low, high;
    *out = (struct choice){.share = 0, .shares = 1, .list = list};
    for (int i = 0; i < list->count; i++)
        if (!range_of(list->items[i], &low, &high))
            return wrong_usage("--shards has \"%s\", it takes numbers and ranges as 0,3,8-11",
                               list->items[i]);
    if (!shard)
        return DONE;
    if (list->count)
        return wrong_usage("--shard and --shards: one of them");
    return strncmp(shard, "auto", 4) == 0 ? choose_auto(out, shard, quiet)
                                          : choose_share(out, shard);
}

bool is_chosen(const struct choice *choice, int shard)
{
    int low, high;
    for (int i = 0; i < choice->list->count; i++)
        if (range_of(choice->list->items[i], &low, &high) && shard >= low && shard <= high)
            return true;
    return choice->list->count == 0 && shard % choice->shares == choice->share;
}

int choice_most(const struct choice *choice)
{
    int low, high, most = -1;
    for (int i = 0; i < choice->list->count; i++)
        if (range_of(choice->list->items[i], &low, &high) && high > most)
            most = high;
    return most;
}
