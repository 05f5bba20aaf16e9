/* serve/asked.h: what an ask holds, for the files that carry it out. */
#ifndef CLI_SERVE_ASKED_H
#define CLI_SERVE_ASKED_H

#include "ask.h"
#include "tools/cli/explain.h"

struct ask {
    struct served *model;
    enum verb verb;
    enum form form;
    struct list words;  /* the client's, in turn names and values; settings point into them */
    struct given given; /* the same as a command line, for a page */
    void *answers;      /* settings of classify, or of embed */
    void *explain;      /* a struct explain_settings; NULL: of another verb */
    struct explain_plan plan;
    int top; /* predictions of an answer; 0: none are wanted */
    bool normalize;
    double cost;
    struct text canonical; /* all that an answer depends on, but the picture, model and form */
};

/* What a complaint of the command line says, in the words of an address: "vitx-cli: serve: --top is
 * ..." is "top is ...". Of several lines the last. */
bool refuse_as_said(struct problem *why, int status, const char *code, const char *said,
                    const struct served *model);

#endif
