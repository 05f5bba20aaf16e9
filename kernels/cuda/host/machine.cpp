/*
 * kernels/cuda/host/machine.cpp: the threads of a block as fibers, who of them goes on, and their
 * meetings. It is compiled without the thread sanitizer, and tells it what orders memory: barriers
 * of a block and of a warp, the begin and the end of a launch, nothing else.
 *
 * No memcpy or memset of what several fibers touch, and no loop that a compiler makes one of: the
 * thread sanitizer sees those, from here, too.
 */
#include "kernels/cuda/host/inside.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__thread const vx_place *vx_here;
__thread machine *vx_machine_own;
static int schedule_now;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---------------------------------------------- reports -------------------------------------- */

void vx_machine_stop(const char *file, int line, const char *format, ...)
{
    static const char *const names[] = {"forward",        "reverse",        "shuffled",
                                        "warps shuffled", "one warp ahead", "by chance"};
    const machine *m = vx_machine_own;
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    fflush(stdout);
    if (m && m->shape)
        fprintf(stderr, "twin: kernel %s, block (%u,%u,%u)", m->shape->kernel, m->at.x, m->at.y,
                m->at.z);
    if (m && m->shape && m->now)
        fprintf(stderr, ", thread (%u,%u,%u), order %s, seed %llu", m->now->place.thread.x,
                m->now->place.thread.y, m->now->place.thread.z, names[m->schedule],
                (unsigned long long)m->seed);
    if (file)
        fprintf(stderr, "%s%s:%d", m && m->shape ? ": " : "twin: ", file, line);
    fprintf(stderr, "%s%s\n", file || (m && m->shape) ? ": " : "twin: ", what);
    abort();
}

static const char *doing(const machine *m, const fiber *f)
{
    return f->state == AT_BLOCK ? "__syncthreads"
                                : vx_meeting_name(m->warps[f->index / VX_WARP].kind);
}

/* Who waits where: the first thread of each place, and how many there are. */
static void stop_all_wait(machine *m)
{
    char text[400];
    int used = 0, returned = 0;
    for (int i = 0; i < m->threads; i++) {
        const fiber *f = &m->set[i];
        int same = 0, before = 0;
        returned += f->state == RETURNED;
        for (int j = 0; j < m->threads; j++) {
            const fiber *g = &m->set[j];
            const int equal = g->state == f->state && g->line == f->line;
            same += equal;
            before += equal && j < i;
        }
        if (f->state == RETURNED || before || used > 300)
            continue;
        used += snprintf(text + used, sizeof text - (size_t)used,
                         "; %d in %s of line %d (thread %d)", same, doing(m, f), f->line, i);
    }
    vx_machine_stop(m->now->file, m->now->line, "all wait for each other: %d returned%s", returned,
                    used ? text : "");
}

/* ---------------------------------------------- a machine a thread --------------------------- */

/* With a page below that cannot be touched. */
static size_t stack_bytes()
{
    return STACK + (size_t)sysconf(_SC_PAGESIZE);
}

static void free_machine(void *what)
{
    machine *m = (machine *)what;
    for (int s = 0; s < SETS; s++) {
        for (int c = 0; c < THREADS / CHUNK; c++)
            if (m->stacks[s][c])
                vx_stacks_unmap(m->stacks[s][c], &m->sets[s][c * CHUNK].stack, sizeof(fiber),
                                stack_bytes(), CHUNK);
        for (int i = 0; m->sets[s] && i < THREADS; i++)
            free(m->sets[s][i].copies);
        free(m->sets[s]);
    }
    free(m);
    vx_machine_own = NULL;
}

static void make_key()
{
    if (pthread_key_create(&key, free_machine) != 0)
        vx_machine_stop(NULL, 0, "no key for a machine a thread");
}

static machine *mine()
{
    if (vx_machine_own)
        return vx_machine_own;
    pthread_once(&once, make_key);
    machine *m = (machine *)vx_machine_taken(calloc(1, sizeof *m));
    m->random = 1;
    m->fail_after = -1;
    m->ordered = -1;
    vx_machine_own = m;
    pthread_setspecific(key, m);
    return m;
}

void vx_machine_schedule(int schedule)
{
    __atomic_store_n(&schedule_now, schedule >= 0 && schedule < VX_SCHEDULES ? schedule : 0,
                     __ATOMIC_RELAXED);
}

void vx_machine_seed(uint64_t seed)
{
    mine()->random = seed ? seed : 1;
    mine()->ordered = -1;
}

void vx_machine_count(vx_machine_counts *out)
{
    *out = mine()->counts;
}

vx_machine_counts *vx_machine_tally(void)
{
    return &mine()->counts;
}

void vx_machine_fail_launch(int64_t after)
{
    mine()->fail_after = after;
}

int vx_machine_launch_fails(void)
{
    machine *m = mine();
    return m->fail_after >= 0 && m->fail_after-- == 0;
}

/* xorshift64 (Marsaglia 2003) */
static uint32_t chance(machine *m, uint32_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)((m->random >> 32) * below >> 32);
}

/* ---------------------------------------------- who goes on ---------------------------------- */

static void shuffle(machine *m, uint16_t *what, int n)
{
    for (int i = n - 1; i > 0; i--) {
        const int j = (int)chance(m, (uint32_t)i + 1);
        const uint16_t t = what[i];
        what[i] = what[j];
        what[j] = t;
    }
}

/* The order of the threads. It stays for all launches, unless it is by chance. */
static void put_in_order(machine *m)
{
    const int n = m->threads,
              by_chance = m->schedule == VX_SCHEDULE_SHUFFLED || m->schedule == VX_SCHEDULE_WARPS;
    if (m->schedule == m->ordered && n == m->ordered_threads && !by_chance)
        return;
    uint16_t warps[WARPS];
    for (int i = 0; i < WARPS; i++)
        warps[i] = (uint16_t)i;
    if (m->schedule == VX_SCHEDULE_WARPS)
        shuffle(m, warps, n / VX_WARP);
    for (int i = 0; i < n; i++)
        m->order[i] = (uint16_t)(m->schedule == VX_SCHEDULE_REVERSE
                                     ? n - 1 - i
                                     : warps[i / VX_WARP] * VX_WARP + i % VX_WARP);
    if (m->schedule == VX_SCHEDULE_SHUFFLED)
        shuffle(m, m->order, n);
    m->ordered = m->schedule;
    m->ordered_threads = n;
}

static inline void wake_all(machine *m)
{
    const int words = m->threads / VX_WARP;
    for (int w = 0; w < words; w++, no_call())
        m->ready[w] = VX_ALL_LANES;
    m->some = words == WARPS ? VX_ALL_LANES : (1u << words) - 1;
}

static inline void wake_warp(machine *m, int first)
{
    const int lanes = m->schedule == VX_SCHEDULE_SHUFFLED ? VX_WARP : 1;
    const uint32_t each = lanes == 1 ? VX_ALL_LANES : 1;
    for (int i = 0; i < lanes; i++) {
        const int at = m->set[first + i].position;
        m->ready[at / VX_WARP] |= lanes == 1 ? each : each << at % VX_WARP;
        m->some |= 1u << at / VX_WARP;
    }
}

static inline void not_ready(machine *m)
{
    const int w = m->position / VX_WARP;
    m->ready[w] &= ~(1u << m->position % VX_WARP);
    if (!m->ready[w])
        m->some &= ~(1u << w);
}

/* The n-th bit that is set. */
static int bit_at(uint32_t bits, uint32_t n)
{
    while (n--)
        bits &= bits - 1;
    return __builtin_ctz(bits);
}

static inline uint32_t above(uint32_t bits, int bit)
{
    return bits & (0u - (2u << bit));
}

/* The position that goes on; there is one. */
static int next_position(machine *m)
{
    int w = m->position / VX_WARP;
    if (m->schedule == VX_SCHEDULE_CHANCE) {
        w = bit_at(m->some, chance(m, (uint32_t)__builtin_popcount(m->some)));
        const uint32_t lanes = m->ready[w];
        return w * VX_WARP + bit_at(lanes, chance(m, (uint32_t)__builtin_popcount(lanes)));
    }
    const uint32_t rest = above(m->ready[w], m->position % VX_WARP);
    if (rest)
        return w * VX_WARP + __builtin_ctz(rest);
    if (m->schedule != VX_SCHEDULE_AHEAD || !m->ready[w]) {
        const uint32_t others = above(m->some, w);
        w = __builtin_ctz(others ? others : m->some);
    }
    return w * VX_WARP + __builtin_ctz(m->ready[w]);
}

static inline void go(machine *m, vx_stack *from, int position)
{
    fiber *f = &m->set[m->order[position]];
    m->position = position;
    m->now = f;
    vx_here = &f->place;
    m->came_from = from;
    vx_stack_switch(from, &f->stack);
}

/* The thread waits; returns when somebody has woken it. */
static inline void wait_here(machine *m, fiber *f, enum state state)
{
    f->state = state;
    not_ready(m);
    if (!m->some)
        stop_all_wait(m);
    go(m, &f->stack, next_position(m));
    f->state = RUNS;
}

/* The thread could go on; so could others. */
static inline void maybe_yield(machine *m, fiber *f)
{
    if (m->schedule != VX_SCHEDULE_CHANCE)
        return;
    const int position = next_position(m);
    if (position != m->position)
        go(m, &f->stack, position);
}

/* ---------------------------------------------- meetings ------------------------------------- */

/* What the thread sanitizer takes for the meeting (it tells apart what is 8 bytes apart): another
 * place for the next one, as the fast are there before the slow have left; and others for the next
 * block, since its barriers have nothing to do with these. */
static inline uint64_t *order_of(machine *m, meeting *w)
{
    return &w->order[m->counts.blocks % PLACES][w->phase % 2];
}

void vx_machine_barrier(const char *file, int line)
{
    machine *m = vx_machine_own;
    fiber *f = m->now;
    meeting *b = &m->block;
    uint64_t *order = order_of(m, b);
    f->file = file;
    f->line = line;
    if (b->returned)
        vx_machine_stop(file, line, "__syncthreads, but %d threads have returned", b->returned);
    if (b->arrived && b->line != line)
        vx_machine_stop(file, line, "__syncthreads, but others wait in that of line %d", b->line);
    b->line = line;
    VX_RELEASE(order);
    if (++b->arrived == m->threads) {
        b->arrived = 0;
        b->phase++;
        m->counts.meetings++;
        wake_all(m);
        maybe_yield(m, f);
    } else {
        wait_here(m, f, AT_BLOCK);
    }
    VX_ACQUIRE(order);
}

static void agree(const meeting *w, vx_meeting kind, uint32_t argument, const char *file, int line)
{
    if (w->returned)
        vx_machine_stop(file, line, "%s, but %d lanes of the warp have returned",
                        vx_meeting_name(kind), w->returned);
    if (!w->arrived)
        return;
    if (w->kind != kind || w->line != line)
        vx_machine_stop(file, line, "%s, but other lanes of the warp wait in %s of line %d",
                        vx_meeting_name(kind), vx_meeting_name(w->kind), w->line);
    if (w->argument != argument)
        vx_machine_stop(file, line, "%s by %u, but other lanes of the warp by %u",
                        vx_meeting_name(kind), argument >> 8, w->argument >> 8);
}

static void meet_all(machine *m, meeting *w, vx_meeting kind, int first)
{
    vx_lane_words *lanes[VX_WARP];
    for (int i = 0; i < VX_WARP; i++)
        lanes[i] = &m->set[first + i].words;
    vx_warp_compute(kind, lanes, &m->counts);
    w->arrived = 0;
    w->phase++;
    m->counts.meetings++;
    wake_warp(m, first);
}

void vx_machine_meet(vx_meeting kind, uint32_t argument, const uint32_t *in, int in_words,
                     uint32_t *out, int out_words, const char *file, int line)
{
    machine *m = vx_machine_own;
    fiber *f = m->now;
    const int warp = f->index / VX_WARP;
    meeting *w = &m->warps[warp];
    uint64_t *order = order_of(m, w);
    for (int i = 0; i < in_words; i++, no_call())
        f->words.in[i] = in[i];
    f->file = file;
    f->line = line;
    agree(w, kind, argument, file, line);
    w->kind = kind;
    w->argument = argument;
    w->line = line;
    if (kind == VX_MEET_SYNC)
        VX_RELEASE(order);
    if (++w->arrived == VX_WARP) {
        meet_all(m, w, kind, warp * VX_WARP);
        maybe_yield(m, f);
    } else {
        wait_here(m, f, AT_WARP);
    }
    if (kind == VX_MEET_SYNC)
        VX_ACQUIRE(order);
    for (int i = 0; i < out_words; i++, no_call())
        out[i] = f->words.out[i];
}

/* ---------------------------------------------- blocks and launches -------------------------- */

static void thread_ends(machine *m, fiber *f)
{
    meeting *w = &m->warps[f->index / VX_WARP];
    if (f->copy_count)
        vx_machine_stop(f->file, f->line, "the thread ends, and its cp.async was not waited for");
    if (m->block.arrived)
        vx_machine_stop(f->file, f->line,
                        "the thread ends, but others wait in __syncthreads of "
                        "line %d",
                        m->block.line);
    if (w->arrived)
        vx_machine_stop(f->file, f->line,
                        "the thread ends, but lanes of its warp wait in %s of "
                        "line %d",
                        vx_meeting_name(w->kind), w->line);
    f->state = RETURNED;
    f->group = 0;
    m->block.returned++;
    w->returned++;
    VX_RELEASE(&m->end);
    not_ready(m);
    if (m->some) {
        go(m, &f->stack, next_position(m));
    } else if (m->block.returned < m->threads) {
        stop_all_wait(m);
    } else {
        m->came_from = &f->stack;
        vx_stack_switch(&f->stack, &m->host);
    }
}

/* A fiber runs one thread of one block after the other. */
static void fiber_main()
{
    machine *m = vx_machine_own;
    fiber *f = m->now;
    vx_stack_entered(m->came_from);
    for (;;) {
        VX_ACQUIRE(&m->start);
        f->file = NULL;
        f->line = 0;
        m->run(m->args);
        thread_ends(m, f);
    }
}

static void make_fibers(machine *m, int set)
{
    if (!m->sets[set])
        m->sets[set] = (fiber *)vx_machine_taken(calloc(THREADS, sizeof(fiber)));
    for (int c = 0; c * CHUNK < m->threads; c++)
        if (!m->stacks[set][c])
            m->stacks[set][c] = vx_machine_taken(vx_stacks_map(
                &m->sets[set][c * CHUNK].stack, sizeof(fiber), stack_bytes(), CHUNK, fiber_main));
    for (int i = 0; i < m->threads; i++) {
        fiber *f = &m->sets[set][i];
        const unsigned x = m->block_size.x, y = m->block_size.y, at = (unsigned)i;
        f->index = i;
        f->place = {dim3(at % x, at / x % y, at / x / y), &m->at, &m->block_size, &m->grid};
    }
}

static void run_block(machine *m, int64_t number)
{
    m->set = m->sets[number % SETS];
    for (int i = 0; i < m->threads; i++, no_call()) {
        m->set[m->order[i]].position = i;
        m->set[i].state = RUNS;
    }
    m->block.arrived = m->block.returned = 0;
    for (int w = 0; w < m->threads / VX_WARP; w++, no_call())
        m->warps[w].arrived = m->warps[w].returned = 0;
    wake_all(m);
    vx_machine_fresh_shared(m);
    VX_RELEASE(&m->start);
    m->position = 0;
    go(m, &m->host, m->schedule == VX_SCHEDULE_CHANCE ? next_position(m) : 0);
    m->now = NULL;
    vx_machine_check_shared(m);
    m->counts.blocks++;
    if (m->kept_bytes > VX_KEPT) {
        VX_ACQUIRE(&m->end);
        vx_machine_drop_shared(m);
    }
}

static uint64_t common_factor(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Blocks in turn, backwards, or each step of them wide: number -> number step + first. */
static void run_blocks(machine *m)
{
    const uint64_t n = (uint64_t)m->grid.x * m->grid.y * m->grid.z;
    uint64_t step = 1, first = 0;
    if (m->schedule == VX_SCHEDULE_REVERSE) {
        step = n - 1;
        first = n - 1;
    } else if (m->schedule == VX_SCHEDULE_SHUFFLED || m->schedule == VX_SCHEDULE_CHANCE) {
        first = chance(m, (uint32_t)n);
        for (step = 1 + chance(m, (uint32_t)n); common_factor(step, n) != 1;)
            step++;
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t b = (i * (step % n) + first) % n;
        m->at = dim3((unsigned)(b % m->grid.x), (unsigned)(b / m->grid.x % m->grid.y),
                     (unsigned)(b / m->grid.x / m->grid.y));
        run_block(m, (int64_t)i);
    }
}

const char *vx_machine_refuses(const vx_launch_shape *shape)
{
    const unsigned *b = shape->blocks, *t = shape->threads;
    for (int i = 0; i < 3; i++)
        if (!b[i] || !t[i])
            return "a size of 0";
    if (t[0] > THREADS || t[1] > THREADS || t[2] > 64 || t[0] * t[1] * t[2] > THREADS)
        return "more than 1024 threads";
    if (b[0] > 0x7fffffffu || b[1] > 65535 || b[2] > 65535)
        return "too many blocks";
    return shape->shared_bytes > 232448 ? "more than 227 KiB of shared memory" : NULL;
}

void vx_machine_launch(const vx_launch_shape *shape, void (*run)(void *args), void *args)
{
    machine *m = mine();
    m->shape = shape;
    m->run = run;
    m->args = args;
    m->schedule = __atomic_load_n(&schedule_now, __ATOMIC_RELAXED);
    m->seed = m->random;
    m->grid = dim3(shape->blocks[0], shape->blocks[1], shape->blocks[2]);
    m->block_size = dim3(shape->threads[0], shape->threads[1], shape->threads[2]);
    m->threads = (int)(m->block_size.x * m->block_size.y * m->block_size.z);
    m->at = dim3(0, 0, 0);
    if (m->block_size.x % VX_WARP)
        vx_machine_stop(NULL, 0, "%u threads along x: no multiple of 32", m->block_size.x);
    for (int s = 0; s < SETS; s++)
        make_fibers(m, s);
    put_in_order(m);
    vx_stack_own(&m->host);
    run_blocks(m);
    VX_ACQUIRE(&m->end);
    vx_machine_drop_shared(m);
    m->counts.launches++;
    vx_machine_check_guards(shape->kernel);
    m->shape = NULL;
}
