/*
 * engine/share.h: a block of a batch with some whole pictures for each worker.
 *
 * If the workers share an operation, a worker finds what the operation before it made in slow
 * memory: a layer of one picture is a few hundred kilobytes, one of eight pictures is megabytes. If
 * they share a block, each goes through all operations with a picture or two, whose layers stay in
 * its own cache, and the workers wait for each other once a block.
 */
#ifndef VX_ENGINE_SHARE_H
#define VX_ENGINE_SHARE_H

#include "engine/io.h"

/* Runs block l if that is how it is fast: a device with workers that can be alone, enough pictures,
 * and nothing of the block kept but probabilities. @return whether it did */
bool vx_block_shared(const vx_run *f, int l);

#endif
