/* measure/patches.c: see patches.h. */
#include "measure/patches.h"

#include <string.h>

int vx_trial_patches(vx_trial *trial, vx_removal *removal, int64_t n)
{
    VX_TRY(vx_setting_removal(removal, &trial->job));
    vx_patches_prepare(&trial->job, n);
    return VITX_OK;
}

int vx_trial_run_patches(const vx_trial *trial, vitx_evaluation *evaluation, bool followed,
                         const vx_removal *removal, int64_t n, vx_patches_choose *choose,
                         vx_patches_take *take, void *payload)
{
    const vx_subject *s = trial->subject;
    vitx_context *c = s->context;
    const vx_target t = followed ? s->follows : s->explains;
    vitx_map asked = *s->map; /* what is asked for each variant */
    asked.info.score = t.score;
    asked.info.target = t.target;
    asked.info.versus = t.versus;
    asked.info.value = followed ? s->followed : s->value;
    asked.vector = t.vector;
    asked.vector_count = t.count;
    /* Other metrics may have run inputs of theirs where the picture's was. */
    memcpy(c->act.host.input, s->input, vx_context_input_count(c) * sizeof *s->input);
    VX_TRY(vx_patches_run(&trial->job, 0, &asked, removal, n, choose, take, payload));
    evaluation->info.forwards += asked.info.forwards;
    return VITX_OK;
}
