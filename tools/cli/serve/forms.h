/*
 * serve/forms.h: the bodies of /v1: a picture as it is, multipart/form-data, JSON with the picture
 * in base64. Options are in the query, and in the other fields of a form or of the JSON.
 */
#ifndef CLI_SERVE_FORMS_H
#define CLI_SERVE_FORMS_H

#include "exchange.h"

/* At the head: form and ask of the query. false: *why. */
bool form_head(struct exchange *x, struct problem *why);

/* Whether the Content-Type is one of a body that may hold a picture. */
bool form_type(const struct exchange *x);

#endif
