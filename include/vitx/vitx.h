/*
 * vitx: Vision Transformers that say why.
 *
 *     vitx_model *model;
 *     vitx_context *context;
 *     vitx_image *image;
 *     vitx_map *map;
 *     vitx_prediction top[5];
 *
 *     vitx_model_open(&model, "deit_tiny/", NULL);
 *     vitx_context_create(&context, model, NULL);
 *     vitx_image_open(&image, "cat.jpg");
 *     vitx_classify(context, image, top, 5);
 *
 *     vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
 *     opts.method = "rollout";
 *     opts.target = top[0].index;
 *     vitx_explain(&map, context, image, &opts);
 *     vitx_render(map, image, "cat.overlay.png", NULL);
 *
 *     vitx_map_free(map);
 *     vitx_image_free(image);
 *     vitx_context_free(context);
 *     vitx_model_free(model);
 *
 * Every call returns a status (vitx/base.h); check it. The headers below are in calling order.
 */
#ifndef VITX_VITX_H
#define VITX_VITX_H

#include <vitx/base.h>
#include <vitx/model.h>
#include <vitx/image.h>
#include <vitx/context.h>
#include <vitx/texts.h>
#include <vitx/explain.h>
#include <vitx/evaluate.h>
#include <vitx/measure.h>
#include <vitx/render.h>
#include <vitx/report.h>

#endif
