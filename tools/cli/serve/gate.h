/* serve/gate.h: who may ask, how much at the same time, and with how much memory. */
#ifndef CLI_SERVE_GATE_H
#define CLI_SERVE_GATE_H

#include <stdbool.h>
#include <stddef.h>

struct gate;
struct share; /* of a client: the requests of its that run */

/* keys: a file with a key a line, empty lines and those with # left out; NULL: everybody may ask.
 * Complains: an exit status. */
int gate_open(struct gate **out, const char *keys, size_t body_memory);
void gate_close(struct gate *gate);
bool gate_has_keys(const struct gate *gate);

/* The number of the key that a request shows by these headers (NULL: it has none); -1: it is no
 * key. Takes the same time whatever the key is. */
int gate_key(const struct gate *gate, const char *authorization, const char *api_key);

/* One more request of the client; false: it has `most` already (0: no limit), or there is no
 * memory. */
bool gate_enter(struct gate *gate, struct share **out, const char *client, int most);
void gate_leave(struct gate *gate, struct share *share); /* NULL: nothing */

/* Memory for a body; false: there is none for it now. */
bool gate_take(struct gate *gate, size_t bytes);
void gate_give(struct gate *gate, size_t bytes);

#endif
