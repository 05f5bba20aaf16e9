/* cli/methods.h: the way from words on the command line to a vitx_explain_opts. */
#ifndef CLI_METHODS_H
#define CLI_METHODS_H

#include "session.h"

/* All complain where they fail; WRONG_USAGE, or SOME_FAILED without memory. */

/* The method of that name; where there is none, the message names those there are. */
int method_find(vitx_method_info *out, const char *name);
/* Its option of that name; the name ends at '\0' or '='. NULL: it has none. */
const vitx_method_option *method_option(const vitx_method_info *method, const char *name);

/* What --method means: "all" and "all-fast" stand for every method there is that is not named, too;
 * keep_methods() takes away from them. Own it: list_free(). */
int choose_methods(struct list *out, const struct list *asked);

/* In vitx_explain_opts.target of a plan: the class that has rank 1, 2.. in each picture's own
 * answer. */
int target_of_rank(int rank);
/* The rank; 0: the target is none. */
int rank_of(int target);

/* The words of --score, in the order of vitx_score, ended by NULL. */
extern const char *const score_names[];

/* Whether a --layer or --head lies within what the model has. */
int check_range(const char *option, int value, int count, const char *what);
/* The class that --target or --versus means. */
int find_class(int *out, const struct session *session, const char *option, const char *text);

/* Says that a map says nothing, if it does: of which picture, and what comes of it ("it is drawn as
 * 0"). */
void warn_of_nothing(const vitx_map_info *map, const char *picture, const char *so);

/* That all of --set are KEY=VALUE. */
int check_set(const struct list *set);
/* Gives each of opts those of --set that its method has, METHOD.KEY=VALUE to that method alone; one
 * that none has is wrong usage. The texts lie in *kept, to be freed with the opts, where each of
 * them has room for one more. */
int give_set(vitx_explain_opts *opts, int count, const struct list *set, const char ***kept);
/* That one of the methods that --method names compares texts, as --among needs; by_default: nobody
 * named it. No model is needed: it is asked before the texts are run. */
int check_among(const struct list *asked, bool by_default);
/* Gives the texts of --among to those of opts whose methods compare texts. */
void give_among(vitx_explain_opts *opts, int count, const vitx_label_set *among);
/* Tells them that such texts will come, where vectors stand for texts. */
void promise_among(vitx_explain_opts *opts, int count);
/* The part of "all" and "all-fast" that a model decides; needs a started session. Leaves out
 * those of opts whose methods cannot explain the model, with a warning, and of "all-fast" those
 * that cost too much. What is named in `asked` stays. SOME_FAILED if none is left. */
int keep_methods(const struct session *session, const struct list *asked, vitx_explain_opts *opts,
                 int *count, bool quiet);
/* What only the methods know of the values, as in --set; needs a started session. What a method
 * refuses on other grounds is left to be reported where it is run. */
int check_opts(const struct session *session, const vitx_explain_opts *opts, int count);

/* Says why maps of a picture failed, each reason once, and empties the list: reasons [count] as the
 * opts, NULL where a map came out. A reason that the maps of several methods share, all there are,
 * is about the picture, so no method is named. */
void report_reasons(char **reasons, const vitx_explain_opts *opts, int count, const char *picture);

#endif
