/* serve/texts.c: see texts.h. */
#include "texts.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "tools/cli/labels.h"

/* ------------------------------------------------------------------ a set ------------------ */

struct held_labels {
    atomic_int holders;
    vitx_label_set *set;
    size_t bytes;
};

const vitx_label_set *held_set(const struct held_labels *held)
{
    return held->set;
}

static void *hold(void *item)
{
    struct held_labels *held = item;
    atomic_fetch_add(&held->holders, 1);
    return held;
}

void held_drop(struct held_labels *held)
{
    if (!held || atomic_fetch_sub(&held->holders, 1) > 1)
        return;
    vitx_label_set_free(held->set);
    free(held);
}

static void drop(void *item)
{
    held_drop(item);
}

static size_t bytes_of(const void *item)
{
    return ((const struct held_labels *)item)->bytes;
}

static const struct cache_kind labels_kept = {hold, drop, bytes_of, GAUGE_LABEL_BYTES};

/* Takes the set; NULL without memory. */
static struct held_labels *hold_set(vitx_label_set *set)
{
    vitx_label_set_info info = VITX_LABEL_SET_INFO_INIT;
    struct held_labels *held = calloc(1, sizeof *held);
    if (!held || vitx_label_set_get_info(&info, set) != VITX_OK) {
        vitx_label_set_free(set);
        free(held);
        return NULL;
    }
    atomic_init(&held->holders, 1);
    held->set = set;
    held->bytes = sizeof *held + (size_t)info.count * (size_t)info.units * sizeof(float);
    for (int i = 0; i < info.count; i++)
        held->bytes += sizeof(char *) + strlen(vitx_label_set_label(set, i)) + 1;
    return held;
}

/* ------------------------------------------------------------------ kept sets -------------- */

/* One that a thread makes. */
struct making_set {
    struct making_set *next;
    const uint8_t *key;
};

struct label_sets {
    struct cache *cache;
    pthread_mutex_t lock;
    pthread_cond_t made;
    struct making_set *making;
};

struct label_sets *label_sets_create(size_t bytes)
{
    struct label_sets *sets = calloc(1, sizeof *sets);
    if (!sets)
        return NULL;
    sets->cache = cache_create(bytes, &labels_kept);
    if (!sets->cache) {
        free(sets);
        return NULL;
    }
    pthread_mutex_init(&sets->lock, NULL);
    pthread_cond_init(&sets->made, NULL);
    return sets;
}

void label_sets_free(struct label_sets *sets)
{
    if (!sets)
        return;
    cache_free(sets->cache);
    pthread_cond_destroy(&sets->made);
    pthread_mutex_destroy(&sets->lock);
    free(sets);
}

static bool is_being_made(const struct label_sets *sets, const uint8_t *key)
{
    const struct making_set *m = sets->making;
    while (m && memcmp(m->key, key, DIGEST_BYTES) != 0)
        m = m->next;
    return m != NULL;
}

/* The set that is kept, once no other thread makes it; else NULL, and this thread makes it now. */
static struct held_labels *find_or_begin(struct label_sets *sets, struct making_set *own)
{
    pthread_mutex_lock(&sets->lock);
    while (is_being_made(sets, own->key))
        pthread_cond_wait(&sets->made, &sets->lock);
    struct held_labels *found = cache_find(sets->cache, own->key);
    if (!found) {
        own->next = sets->making;
        sets->making = own;
    }
    pthread_mutex_unlock(&sets->lock);
    return found;
}

static void end_making(struct label_sets *sets, const struct making_set *own)
{
    pthread_mutex_lock(&sets->lock);
    struct making_set **at = &sets->making;
    while (*at != own)
        at = &(*at)->next;
    *at = own->next;
    pthread_cond_broadcast(&sets->made);
    pthread_mutex_unlock(&sets->lock);
}

int label_sets_make(struct held_labels **out, int *sentences, const struct labels_wanted *wanted,
                    const struct served *model)
{
    struct label_sets *sets = model->sets;
    struct making_set own = {.key = wanted->key};
    vitx_label_set *set = NULL;
    *sentences = 0;
    *out = wanted->found ? hold(wanted->found) : find_or_begin(sets, &own);
    if (*out)
        return VITX_OK;
    int code = labels_create(&set, model->session.texts, &wanted->labels, &wanted->templates, NULL);
    if (code == VITX_OK) {
        *sentences = labels_cost(wanted);
        *out = hold_set(set);
        code = *out ? VITX_OK : VITX_NOMEM;
    }
    if (*out)
        cache_add(sets->cache, wanted->key, *out);
    end_making(sets, &own);
    return code;
}

/* ------------------------------------------------------------------ of a request ----------- */

/* Of equal labels for another model the vectors are others. */
static bool make_key(struct labels_wanted *wanted, const struct served *model)
{
    uint8_t words[DIGEST_BYTES];
    struct digest *digest = digest_begin();
    if (!digest || !labels_digest(words, &wanted->labels, &wanted->templates)) {
        if (digest)
            digest_end(digest, NULL);
        return false;
    }
    digest_add(digest, model->name, strlen(model->name) + 1);
    digest_add(digest, model->texts_digest, DIGEST_BYTES);
    digest_add(digest, words, DIGEST_BYTES);
    digest_end(digest, wanted->key);
    return true;
}

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

/* Its lists are there. */
static int find_kept(struct labels_wanted *out, const struct served *model)
{
    if (!make_key(out, model))
        return no_memory();
    out->found = cache_find(model->sets->cache, out->key);
    return DONE;
}

int labels_want(struct labels_wanted *out, const struct common *common, const struct served *model)
{
    const int status = labels_gather(&out->labels, &out->templates, common);
    return status == DONE ? find_kept(out, model) : status;
}

int texts_want(struct labels_wanted *out, const struct list *texts, const struct served *model)
{
    for (int i = 0; i < texts->count; i++)
        if (!list_add(&out->labels, texts->items[i], strlen(texts->items[i])))
            return no_memory();
    return find_kept(out, model);
}

int labels_cost(const struct labels_wanted *wanted)
{
    const int templates = wanted->templates.count ? wanted->templates.count : 1;
    return wanted->found ? 0 : wanted->labels.count * templates;
}

void labels_wanted_free(struct labels_wanted *wanted)
{
    list_free(&wanted->labels);
    list_free(&wanted->templates);
    held_drop(wanted->found);
    wanted->found = NULL;
}

/* ------------------------------------------------------------------ towers ----------------- */

static _Thread_local struct {
    bool (*wanted)(void *payload);
    void *payload;
} watch;

void texts_watch(bool (*wanted)(void *payload), void *payload)
{
    watch.wanted = wanted;
    watch.payload = payload;
}

/* For vitx_context_opts.progress. */
static int tick(int64_t done, int64_t total, void *payload)
{
    (void)done;
    (void)total;
    (void)payload;
    return watch.wanted && !watch.wanted(watch.payload);
}

int texts_start(struct served *model, struct label_sets *sets)
{
    const int code = texts_try(&model->session, &model->common, tick);
    model->sets = code == VITX_OK ? sets : NULL;
    return code;
}

static void add_classes(struct digest *digest, const vitx_label_set *set)
{
    vitx_label_set_info info = VITX_LABEL_SET_INFO_INIT;
    if (!set || vitx_label_set_get_info(&info, set) != VITX_OK)
        return;
    for (int i = 0; i < info.count; i++) {
        const char *label = vitx_label_set_label(set, i);
        digest_add(digest, label, strlen(label) + 1);
    }
    digest_add(digest, vitx_label_set_vectors(set),
               (size_t)info.count * (size_t)info.units * sizeof(float));
}

/* The tokenizer is known by what it makes of a text; the rest by files and options. */
int texts_know(struct served *model)
{
    static const char *const probe[] = {
        "a photo of two dogs and \xe4\xb8\x80\xe5\x8f\xaa\xe7\x8c\xab"};
    char text[VITX_DIGEST_TEXT];
    struct digest *digest = digest_begin();
    const int code = digest ? vitx_texts_digest(text, model->session.texts, probe, 1) : VITX_NOMEM;
    if (code == VITX_OK) {
        digest_add(digest, text, sizeof text);
        add_classes(digest, model->session.labels);
    }
    if (digest)
        digest_end(digest, model->texts_digest);
    return code;
}
