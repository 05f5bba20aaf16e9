/*
 * serve/tensors.h: pictures as tensors of the Open Inference Protocol.
 *
 * BYTES [N]: files, in base64 in JSON, each behind its length (4 bytes, the least first) as raw
 * data. UINT8 [N,H,W,3]: pixels. FP32 [N,3,H,W]: pixels from 0 to 1, not normalised: what the
 * model's recipe says is done here. Pixels become PNM files, so that one way leads through the
 * server.
 */
#ifndef CLI_SERVE_TENSORS_H
#define CLI_SERVE_TENSORS_H

#include "group.h"
#include "json.h"

/* An entry of "inputs"; raw: the data behind the JSON, *left bytes, of which it takes its own. */
bool tensor_pictures(struct group *group, const struct json *input, const unsigned char **raw,
                     size_t *left, struct problem *why);

#endif
