/*
 * engine/pictures.h: pictures that a device makes inputs of (vx_device_class.pictures).
 *
 * The host sends the pixels that are used and the weights of their sums (image/sampling.h); the
 * operation resample makes the inputs, in act.input, with the bits of vx_preprocess. The host has
 * them when it asks for them (vx_context_host_input in run.h). As many pictures go at once as
 * there is room for. A picture that is too large for all of the room becomes an input on the host.
 * There are two rooms, taken in turn: while the device is at work on a batch, the next one's
 * pictures are copied to it.
 */
#ifndef VX_ENGINE_PICTURES_H
#define VX_ENGINE_PICTURES_H

#include "engine/context.h"

/* The most that a room takes on the device, for what is sent and what lies between the passes; the
 * host has no more than that for what is sent. A batch of photographs of 0.2 megapixels fits. */
static inline size_t vx_pictures_room_bytes(int max_batch)
{
    return (size_t)(max_batch < 64 ? 64 : max_batch > 256 ? 256 : max_batch) << 20;
}

/* A picture on its way. */
typedef struct vx_sent_picture {
    vx_sampling sampling;
    size_t at, room_at; /* of what is sent, among all that is; of its room, in the room of all */
} vx_sent_picture;

/* The most that a context takes of such a device's memory; 0: the device makes no inputs. */
static inline size_t vx_pictures_most(const vx_device_class *cls, int max_batch)
{
    return cls->pictures ? 2 * vx_pictures_room_bytes(max_batch) : 0;
}

/* Lists for max_batch pictures. */
int vx_pictures_create(vitx_context *c);
/* Queues what makes n inputs of pictures, whose placements are c->placements. */
int vx_pictures_load(vitx_context *c, const vitx_image *const *images, int n);
/* Lets as many of these pictures as fit one room go early, if the next vx_pictures_load of the same
 * public call gets them. Nothing is done if the device does not copy early or has no memory left
 * for it, or if the context has no one size. */
int vx_pictures_ahead(vitx_context *c, const vitx_image *const *images, int n);
/* Those that went early will not be asked for. */
void vx_pictures_forget(vitx_context *c);

#endif
