/* serve/asked.h: what an ask holds, for the files that carry it out. */
#ifndef CLI_SERVE_ASKED_H
#define CLI_SERVE_ASKED_H

#include "texts.h"
#include "tools/cli/explain.h"

struct ask {
    struct served *model;
    enum verb verb;
    enum form form;
    struct list words;  /* the client's, in turn names and values; settings point into them */
    struct list shown;  /* values as the command line says them; given points into them */
    struct given given; /* the same as a command line, for a page */
    void *answers;      /* settings of classify, or of embed */
    void *explain;      /* a struct explain_settings; NULL: of another verb */
    struct explain_plan plan;
    struct labels_wanted labels; /* of classify; none: the model's own classes */
    struct labels_wanted among;  /* of explain, what texts are told from; none: the empty text */
    struct list texts;           /* of embed, in place of a picture */
    int top;                     /* predictions of an answer; 0: none are wanted */
    bool normalize;
    double cost; /* forwards, those of texts among them */
    int of_texts;
    struct text canonical; /* all that an answer depends on, but the picture, model and form */
};

/* ask_texts.c. A value that is to be a text is one; whatever else the option takes is not looked
 * at. */
bool ask_check_text(const struct field *field, struct problem *why);
/* Texts that are explained or embedded are for a model with a text tower, and not too many. */
bool ask_check_texts(const struct ask *ask, const struct list *texts, struct problem *why);
/* The labels of a request, once its settings are there. Without any, a model without classes has
 * to have those of the server. */
bool ask_take_labels(struct ask *ask, struct problem *why);
/* Likewise what texts of maps are told from. No file is read, whatever a text looks like. */
bool ask_take_among(struct ask *ask, struct problem *why);
/* How many classes there are to answer with. */
int ask_classes(const struct ask *ask);

/* What a complaint of the command line says, in the words of an address: "vitx-cli: serve: --top is
 * ..." is "top is ...". Of several lines the last. */
bool refuse_as_said(struct problem *why, int status, const char *code, const char *said,
                    const struct served *model);

#endif
