/*
 * model/outputs.c: see outputs.h.
 *
 * As transformers does it: problem_type says what a model was trained for (configuration_utils.py),
 * and ImageClassificationPipeline makes sigmoids of several labels or one output, else a softmax.
 * Of a regression it gives the numbers here, as transformers' pipeline for texts does; the one for
 * pictures would squeeze them.
 */
#include "model/outputs.h"

#include <string.h>

const char *vitx_outputs_name(int outputs)
{
    static const char *const names[] = {"auto", "softmax", "sigmoid", "none"};
    return outputs >= 0 && outputs < (int)(sizeof names / sizeof names[0]) ? names[outputs] : NULL;
}

static int check_asked(const vx_arch *a, vitx_outputs asked, const char *path)
{
    if (!vitx_outputs_name((int)asked))
        return vx_fail_field(VITX_INVALID, "outputs", "outputs = %d is no vitx_outputs",
                             (int)asked);
    if (a->units && asked != VITX_OUTPUTS_NONE)
        return vx_fail_field(VITX_INVALID, "outputs",
                             "outputs %s: the answer of %s is an embedding, which has no "
                             "probabilities",
                             vitx_outputs_name((int)asked), path);
    if (a->classes == 1 && asked == VITX_OUTPUTS_SOFTMAX)
        return vx_fail_field(VITX_INVALID, "outputs",
                             "outputs softmax: %s has one output, whose softmax is always 1", path);
    return VITX_OK;
}

static int read_problem(vitx_outputs *out, bool *found, const vx_config *config)
{
    static const struct {
        const char *name;
        vitx_outputs outputs;
    } problems[] = {{"single_label_classification", VITX_OUTPUTS_SOFTMAX},
                    {"multi_label_classification", VITX_OUTPUTS_SIGMOID},
                    {"regression", VITX_OUTPUTS_NONE}};
    const char *name = NULL;
    VX_TRY(vx_config_string(&name, found, config->config, "problem_type", config->config_path));
    if (!*found)
        return VITX_OK;
    for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++)
        if (strcmp(name, problems[i].name) == 0) {
            *out = problems[i].outputs;
            return VITX_OK;
        }
    return vx_fail_in(VITX_FORMAT, config->config_path,
                      "problem_type \"%.40s\" is none of single_label_classification, "
                      "multi_label_classification, regression",
                      name);
}

int vx_outputs_read(vx_arch *arch, vitx_source *from, vitx_outputs asked, const vx_config *config,
                    const char *path)
{
    bool found = false;
    arch->outputs = arch->units ? VITX_OUTPUTS_NONE : VITX_OUTPUTS_SOFTMAX;
    *from = VITX_FROM_DEFAULT;
    if (asked != VITX_OUTPUTS_AUTO) {
        VX_TRY(check_asked(arch, asked, path));
        arch->outputs = asked;
        *from = VITX_FROM_OPTIONS;
        return VITX_OK;
    }
    if (arch->units)
        return VITX_OK;
    VX_TRY(read_problem(&arch->outputs, &found, config));
    if (found)
        *from = VITX_FROM_CONFIG;
    if (arch->classes == 1 && arch->outputs == VITX_OUTPUTS_SOFTMAX) {
        arch->outputs = VITX_OUTPUTS_SIGMOID; /* a choice among one is none */
        *from = VITX_FROM_TENSORS;
    }
    return VITX_OK;
}
