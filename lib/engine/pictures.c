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

static group group_from(vitx_context *c, int first, int n)
{
    group g = {.first = first};
    while (first + g.count < n) {
        vx_sent_picture *next = &c->pictures.sent[first + g.count];
        const size_t free = vx_pictures_room_bytes(c->max_batch) - g.sent - g.room;
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
static size_t rounded(const vitx_context *c, size_t bytes)
{
    const size_t most = vx_pictures_room_bytes(c->max_batch);
    size_t block = (size_t)64 << 10;
    while (block < bytes)
        block *= 2;
    return block < most ? block : most;
}

/* What was queued for it may not have been done. */
static bool is_at_work(const vitx_context *c, const vx_picture_room *room)
{
    return room->used == c->waits + 1;
}

static int prepare_room(vitx_context *c, vx_picture_room *room, group g)
{
    if (is_at_work(c, room))
        VX_TRY(vx_context_sync(c));
    VX_TRY(vx_block_reserve(c, &room->memory, rounded(c, g.sent + g.room), "pictures"));
    return vx_host_block_reserve(c, &room->staging, rounded(c, g.sent), "pictures on the host");
}

/* If there is memory for one room alone, it serves every time. */
static int take_room(vitx_context *c, vx_picture_room **out, group g)
{
    vx_pictures *p = &c->pictures;
    int status = prepare_room(c, &p->rooms[p->turn], g);
    if (status == VITX_NOMEM) {
        p->turn = 1 - p->turn;
        status = prepare_room(c, &p->rooms[p->turn], g);
    }
    *out = &p->rooms[p->turn];
    return status;
}

typedef struct filling {
    vx_pictures *pictures;
    const vx_picture_room *room;
    group group;
} filling;

static void fill_one(void *arg, int i, int worker)
{
    const filling *f = arg;
    vx_pictures *p = f->pictures;
    const vx_sent_picture *sent = &p->sent[f->group.first + i];
    char *const far = f->room->memory.memory;
    (void)worker;
    vx_sampling_fill(&p->list[f->group.first + i], &sent->sampling,
                     (char *)f->room->staging.memory + sent->at, far + sent->at,
                     far + f->group.sent + sent->room_at);
}

typedef void uploading(vx_device *dev, void *device_dst, const void *host_src, size_t bytes);

static void send(vitx_context *c, vx_picture_room *room, group g, uploading *upload)
{
    vx_pictures *p = &c->pictures;
    vx_pool_run(c->pool, fill_one, &(filling){p, room, g}, g.count);
    upload(c->dev, room->memory.memory, room->staging.memory, g.sent);
    room->used = c->waits + 1;
    p->turn = room == p->rooms; /* the other one */
}

/* Makes inputs of `count` pictures that have been sent. */
static void resample(vitx_context *c, int first, int count)
{
    vx_resample a = {.y = c->act.input + (size_t)first * vx_context_input_count(c),
                     .pictures = c->pictures.list + first,
                     .batch = count};
    vx_sampling_normalise(&a, &c->recipe, &c->placements[first]);
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

static int send_all(vitx_context *c, const vitx_image *const *images, int first, int n)
{
    for (int i = first; i < n;) {
        const group g = group_from(c, i, n);
        if (g.count == 0) {
            VX_TRY(make_on_host(c, images[i], i));
            i++;
            continue;
        }
        vx_picture_room *room;
        VX_TRY(take_room(c, &room, g));
        send(c, room, g, c->dev->cls->upload);
        resample(c, g.first, g.count);
        i += g.count;
    }
    return VITX_OK;
}

void vx_pictures_forget(vitx_context *c)
{
    c->pictures.ahead = 0;
}

/* How many of a batch's pictures have gone early. */
static int gone_early(vitx_context *c, const vitx_image *const *images, int n)
{
    const vx_pictures *p = &c->pictures;
    const int count = p->ahead_of == images && p->ahead <= n ? p->ahead : 0;
    vx_pictures_forget(c);
    return count;
}

int vx_pictures_load(vitx_context *c, const vitx_image *const *images, int n)
{
    const int early = gone_early(c, images, n);
    for (int i = early; i < n; i++)
        vx_sampling_plan(&c->pictures.sent[i].sampling, images[i], &c->recipe, &c->placements[i]);
    c->inputs_away = n;
    if (early) {
        c->dev->cls->upload_join(c->dev);
        resample(c, 0, early);
    }
    return vx_context_queued(c, send_all(c, images, early, n));
}

/* How many of the pictures can be planned; the others are reported when they run. */
static int plan_ahead(vitx_context *c, const vitx_image *const *images, int n)
{
    for (int i = 0; i < n; i++) {
        vx_placement placement;
        if (!images[i] ||
            vx_place(&placement, &c->recipe, images[i]->width, images[i]->height) != VITX_OK)
            return i;
        vx_sampling_plan(&c->pictures.sent[i].sampling, images[i], &c->recipe, &placement);
    }
    return n;
}

int vx_pictures_ahead(vitx_context *c, const vitx_image *const *images, int n)
{
    vx_pictures *p = &c->pictures;
    vx_picture_room *room = &p->rooms[p->turn];
    const vx_device_class *cls = c->dev->cls;
    if (!cls->pictures || !cls->upload_early || c->varies || is_at_work(c, room))
        return VITX_OK;
    const group g = group_from(c, 0, plan_ahead(c, images, n));
    if (g.count == 0)
        return VITX_OK;
    const int status = prepare_room(c, room, g);
    if (status != VITX_OK)
        return status == VITX_NOMEM ? VITX_OK : vx_context_queued(c, status);
    send(c, room, g, cls->upload_early);
    p->ahead_of = images;
    p->ahead = g.count;
    return VITX_OK;
}
