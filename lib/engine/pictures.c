/* engine/pictures.c: see pictures.h. */
#include "engine/pictures.h"

#include "engine/run.h"

int vx_pictures_create(vitx_context *c)
{
    const size_t n = (size_t)c->max_batch;
    VX_TRY(vx_new(&c->pictures.sent, &c->hooks, n, sizeof *c->pictures.sent, "pictures"));
    return vx_new(&c->pictures.list, &c->hooks, n, sizeof *c->pictures.list, "pictures");
}

/* Pictures that go at once: what is sent lies in front of the room between the passes. */
typedef struct group {
    int first, count; /* count 0: the first is too large */
    size_t sent, room;
} group;

static group group_from(vx_pictures *p, int first, int n)
{
    group g = {.first = first};
    while (first + g.count < n) {
        vx_sent_picture *next = &p->sent[first + g.count];
        const size_t free = VX_PICTURES_BYTES - g.sent - g.room;
        if (next->sampling.bytes > free || next->sampling.room > free - next->sampling.bytes)
            break;
        next->at = g.sent;
        next->room_at = g.room;
        g.sent += next->sampling.bytes;
        g.room += next->sampling.room;
        g.count++;
    }
    return g;
}

/* Blocks double, so that pictures of rising sizes do not take new ones each time. */
static size_t rounded(size_t bytes)
{
    size_t block = (size_t)64 << 10;
    while (block < bytes)
        block *= 2;
    return block < VX_PICTURES_BYTES ? block : VX_PICTURES_BYTES;
}

static int reserve(vitx_context *c, int n)
{
    vx_pictures *p = &c->pictures;
    size_t sent = 0, all = 0;
    for (int i = 0; i < n;) {
        const group g = group_from(p, i, n);
        sent = g.sent > sent ? g.sent : sent;
        all = g.sent + g.room > all ? g.sent + g.room : all;
        i += g.count ? g.count : 1;
    }
    if (all == 0)
        return VITX_OK;
    VX_TRY(vx_block_reserve(c, &p->memory, rounded(all), "pictures"));
    return vx_host_block_reserve(c, &p->staging, rounded(sent), "pictures on the host");
}

typedef struct filling {
    vx_pictures *pictures;
    group group;
} filling;

static void fill_one(void *arg, int i, int worker)
{
    const filling *f = arg;
    vx_pictures *p = f->pictures;
    const vx_sent_picture *sent = &p->sent[f->group.first + i];
    char *const far = p->memory.memory;
    (void)worker;
    vx_sampling_fill(&p->list[f->group.first + i], &sent->sampling,
                     (char *)p->staging.memory + sent->at, far + sent->at,
                     far + f->group.sent + sent->room_at);
}

static void send(vitx_context *c, group g)
{
    vx_pictures *p = &c->pictures;
    vx_resample a = {.y = c->act.input + (size_t)g.first * vx_context_input_count(c),
                     .pictures = p->list + g.first,
                     .batch = g.count};
    vx_pool_run(c->pool, fill_one, &(filling){p, g}, g.count);
    vx_sampling_normalise(&a, &c->recipe, &c->placements[g.first]);
    c->dev->cls->upload(c->dev, p->memory.memory, p->staging.memory, g.sent);
    c->dev->ops.resample(c->dev, &a);
}

static int make_on_host(vitx_context *c, const vitx_image *image, int i)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const size_t floats = vx_context_input_count(c), at = (size_t)i * floats;
    VX_TRY(vx_preprocess(c->act.host.input + at, image, &c->recipe, &c->placements[i], &scratch));
    c->dev->cls->upload(c->dev, c->act.input + at, c->act.host.input + at, floats * sizeof(float));
    return VITX_OK;
}

static int send_all(vitx_context *c, const vitx_image *const *images, int n)
{
    bool staged = false;
    for (int i = 0; i < n;) {
        const group g = group_from(&c->pictures, i, n);
        if (g.count == 0) {
            VX_TRY(make_on_host(c, images[i], i));
            i++;
            continue;
        }
        if (staged)
            VX_TRY(vx_context_sync(c)); /* what was sent before has left the host's memory */
        send(c, g);
        staged = true;
        i += g.count;
    }
    return VITX_OK;
}

int vx_pictures_load(vitx_context *c, const vitx_image *const *images, int n)
{
    for (int i = 0; i < n; i++)
        vx_sampling_plan(&c->pictures.sent[i].sampling, images[i], &c->recipe, &c->placements[i]);
    VX_TRY(reserve(c, n));
    c->inputs_away = n;
    return vx_context_queued(c, send_all(c, images, n));
}
