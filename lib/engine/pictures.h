/*
 * engine/pictures.h: pictures that a device makes inputs of (vx_device_class.pictures).
 *
 * The host sends the pixels that are used and the weights of their sums (image/sampling.h); the
 * operation resample makes the inputs, in act.input, with the bits of vx_preprocess. The host has
 * them when it asks for them (vx_context_host_input in run.h). As many pictures go at once as
 * there is room for. A picture that is too large for all of the room becomes an input on the host.
 */
#ifndef VX_ENGINE_PICTURES_H
#define VX_ENGINE_PICTURES_H

#include "engine/context.h"

/* Of the device, for what is sent and what lies between the passes. The host has no more than that
 * for what is sent. */
#define VX_PICTURES_BYTES ((size_t)64 << 20)

/* A picture on its way. */
typedef struct vx_sent_picture {
    vx_sampling sampling;
    size_t at, room_at; /* of what is sent, among all that is; of its room, in the room of all */
} vx_sent_picture;

/* The most that a context takes of such a device's memory; 0: the device makes no inputs. */
static inline size_t vx_pictures_most(const vx_device_class *cls)
{
    return cls->pictures ? VX_PICTURES_BYTES : 0;
}

/* Lists for max_batch pictures. */
int vx_pictures_create(vitx_context *c);
/* Queues what makes n inputs of pictures, whose placements are c->placements. */
int vx_pictures_load(vitx_context *c, const vitx_image *const *images, int n);

#endif
