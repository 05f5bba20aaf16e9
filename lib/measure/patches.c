/* measure/patches.c: see patches.h. */
#include "measure/patches.h"

#include "engine/context.h"

int vx_trial_patches(vx_trial *trial, vx_removal *removal, int64_t n)
{
    const vx_subject *s = trial->subject;
    VX_TRY(vx_setting_removal(removal, &trial->given));
    trial->variants = vx_patches_at_once(s->context, n);
    trial->ticks += n * s->arch->depth;
    return VITX_OK;
}

int vx_trial_run_patches(const vx_trial *trial, vitx_evaluation *evaluation, bool followed,
                         const vx_removal *removal, int64_t n, vx_patches_write_kept *write_kept,
                         vx_patches_take_score *take_score, void *payload)
{
    const vx_subject *s = trial->subject;
    const vx_patches of = {.input = s->input,
                           .target = followed ? s->follows : s->explains,
                           .whole = followed ? s->followed : s->value,
                           .removal = removal,
                           .at_once = trial->variants,
                           .n = n,
                           .write_kept = write_kept,
                           .take_score = take_score,
                           .payload = payload};
    s->context->work_taken = false;
    return vx_patches_run(&evaluation->info.forwards, s->context, &of);
}
