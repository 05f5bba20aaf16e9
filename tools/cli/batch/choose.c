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

/* The variables in which an engine tells a worker its place: number, the first and the last one
 * and the step from one to the next, and how many there are; count NULL: the engine does not say
 * that. */
struct engine {
    const char *number, *count, *first, *last, *step;
    int from; /* the first one where no variable says it */
};

static const struct engine arrays[] = {{"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT",
                                        "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX",
                                        "SLURM_ARRAY_TASK_STEP", 0}};
/* In this order: mpirun within Slurm starts its own ranks, and Slurm's number is the machine's. */
static const struct engine ranks[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL, NULL, NULL, 0},
    {"PMI_RANK", "PMI_SIZE", NULL, NULL, NULL, 0},
    {"SLURM_PROCID", "SLURM_NTASKS", NULL, NULL, NULL, 0}};
static const struct engine others[] = {{"JOB_COMPLETION_INDEX", NULL, NULL, NULL, NULL, 0},
                                       {"PARALLEL_SEQ", NULL, NULL, NULL, NULL, 1}};
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static int variable(const char *name)
{
    return name ? number_of(getenv(name)) : -1;
}

/* The place of the engine's number `at` among `all` workers, 0 to all-1; -1: these numbers name no
 * such row of workers, as of an array "1,3,7", where shards of nobody would be left. */
static int place_of(const struct engine *e, int at, int all)
{
    const int first = variable(e->first), last = variable(e->last), step = variable(e->step);
    const int from = first >= 0 ? first : e->from, by = step > 0 ? step : 1;
    if (at < from || (at - from) % by || (at - from) / by >= all)
        return -1;
    if (last >= 0 && (last < from || (last - from) / by != all - 1))
        return -1;
    return (at - from) / by;
}

/* A worker's place, as engines tell it. */
struct told {
    const struct engine *by; /* NULL: none has started this process */
    bool unfit;              /* what it says is no place */
    int place, workers;
};

/* By the first of the engines that says something. count: of workers, where the engine does not
 * say it. */
static struct told find(const struct engine *engines, int n, int count)
{
    for (int i = 0; i < n; i++) {
        const struct engine *e = &engines[i];
        const int at = variable(e->number), all = e->count ? variable(e->count) : count;
        if (at < 0 || (all < 1 && !e->last))
            continue;
        const int place = place_of(e, at, all);
        return (struct told){e, place < 0, place, all};
    }
    return (struct told){.workers = 1};
}

/* An array whose tasks have several ranks each has as many workers as their product. *by:
 * the variable that counts; NULL: nothing is told. Complains of a place that is none. */
static int find_share(struct choice *out, const char **by, int count)
{
    const struct told array = find(arrays, COUNT(arrays), -1);
    struct told rank = find(ranks, COUNT(ranks), -1);
    if (!array.by && !rank.by)
        rank = find(others, COUNT(others), count);
    const bool of_rank = rank.by && !array.unfit && (rank.unfit || rank.workers > 1 || !array.by);
    const struct engine *e = of_rank ? rank.by : array.by;
    *by = e ? e->number : NULL;
    if (array.unfit || rank.unfit)
        return wrong_usage("--shard auto: %s is %s, which is no place among workers that are "
                           "numbered one after the other; --shard I/N says it, with I from 0 to "
                           "N-1",
                           *by, getenv(*by));
    if (array.workers > INT_MAX / rank.workers)
        *by = NULL;
    if (*by) {
        out->share = array.place * rank.workers + rank.place;
        out->shares = array.workers * rank.workers;
    }
    return DONE;
}

static int choose_auto(struct choice *out, const char *text, bool quiet)
{
    int count = number_of(getenv("VITX_SHARDS"));
    if (text[4] == '/')
        count = number_of(text + 5);
    if (text[4] && (text[4] != '/' || count < 1))
        return wrong_usage("--shard is \"%s\", it takes I/N, auto or auto/N", text);
    const char *by;
    const int status = find_share(out, &by, count);
    if (status != DONE)
        return status;
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
