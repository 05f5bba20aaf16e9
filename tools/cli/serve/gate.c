/* serve/gate.c: see gate.h. */
#define _POSIX_C_SOURCE 200809L
#include "gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/cli/digest.h"
#include "tools/cli/say.h"

enum { KEY_LEAST = 16, KEY_MOST = 512, KEYS_MOST = 10000 };

struct share {
    struct share *next;
    char client[64];
    int running;
};

struct gate {
    uint8_t (*keys)[DIGEST_BYTES]; /* digests have one length, and tell nothing */
    int key_count;
    pthread_mutex_t lock; /* of all below */
    struct share *shares;
    size_t memory;
};

static int add_key(struct gate *gate, const char *path, int number, const char *key, size_t length)
{
    if (length < KEY_LEAST || length > KEY_MOST || gate->key_count == KEYS_MOST) {
        complain(path, "line %d: a key has %d to %d characters, and there are at most %d keys",
                 number, KEY_LEAST, KEY_MOST, KEYS_MOST);
        return SOME_FAILED;
    }
    void *more = realloc(gate->keys, (size_t)(gate->key_count + 1) * sizeof *gate->keys);
    if (!more) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    gate->keys = more;
    digest_of(gate->keys[gate->key_count++], key, length);
    return DONE;
}

static int read_keys(struct gate *gate, const char *path)
{
    char line[KEY_MOST + 3];
    int status = DONE;
    FILE *file = fopen(path, "re");
    if (!file) {
        complain(path, "%s", strerror(errno));
        return SOME_FAILED;
    }
    for (int number = 1; status == DONE && fgets(line, sizeof line, file); number++) {
        const char *key = line + strspn(line, " \t");
        size_t length = strcspn(key, "\r\n");
        while (length && strchr(" \t", key[length - 1])) /* no header ends or begins so */
            length--;
        if (length && key[0] != '#')
            status = add_key(gate, path, number, key, length);
    }
    if (status == DONE && ferror(file)) {
        complain(path, "cannot be read");
        status = SOME_FAILED;
    }
    fclose(file);
    if (status == DONE && gate->key_count == 0) {
        complain(path, "has no key");
        status = SOME_FAILED;
    }
    return status;
}

int gate_open(struct gate **out, const char *keys, size_t body_memory)
{
    struct gate *gate = *out = calloc(1, sizeof *gate);
    if (!gate) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    gate->memory = body_memory;
    pthread_mutex_init(&gate->lock, NULL);
    return keys ? read_keys(gate, keys) : DONE;
}

void gate_close(struct gate *gate)
{
    if (!gate)
        return;
    while (gate->shares) {
        struct share *share = gate->shares;
        gate->shares = share->next;
        free(share);
    }
    pthread_mutex_destroy(&gate->lock);
    free(gate->keys);
    free(gate);
}

bool gate_has_keys(const struct gate *gate)
{
    return gate->key_count > 0;
}

int gate_key(const struct gate *gate, const char *authorization, const char *api_key)
{
    const char *key = api_key;
    uint8_t digest[DIGEST_BYTES];
    int found = -1;
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        key = authorization + 7 + strspn(authorization + 7, " ");
    if (!key || strlen(key) > KEY_MOST)
        return -1;
    digest_of(digest, key, strlen(key));
    for (int i = 0; i < gate->key_count; i++)
        if (same_bytes(digest, gate->keys[i], sizeof digest))
            found = i;
    return found;
}

static struct share *share_of(struct gate *gate, const char *client)
{
    struct share *share = gate->shares;
    while (share && strcmp(share->client, client) != 0)
        share = share->next;
    if (share || !(share = calloc(1, sizeof *share)))
        return share;
    snprintf(share->client, sizeof share->client, "%s", client);
    share->next = gate->shares;
    gate->shares = share;
    return share;
}

bool gate_enter(struct gate *gate, struct share **out, const char *client, int most)
{
    pthread_mutex_lock(&gate->lock);
    struct share *share = share_of(gate, client);
    const bool enters = share && (most == 0 || share->running < most);
    if (enters)
        share->running++;
    pthread_mutex_unlock(&gate->lock);
    *out = enters ? share : NULL;
    return enters;
}

/* A client without requests is forgotten, so that there are never more than requests. */
void gate_leave(struct gate *gate, struct share *share)
{
    if (!share)
        return;
    pthread_mutex_lock(&gate->lock);
    if (--share->running == 0) {
        struct share **at = &gate->shares;
        while (*at != share)
            at = &(*at)->next;
        *at = share->next;
        free(share);
    }
    pthread_mutex_unlock(&gate->lock);
}

bool gate_take(struct gate *gate, size_t bytes)
{
    pthread_mutex_lock(&gate->lock);
    const bool taken = bytes <= gate->memory;
    if (taken)
        gate->memory -= bytes;
    pthread_mutex_unlock(&gate->lock);
    return taken;
}

void gate_give(struct gate *gate, size_t bytes)
{
    pthread_mutex_lock(&gate->lock);
    gate->memory += bytes;
    pthread_mutex_unlock(&gate->lock);
}
